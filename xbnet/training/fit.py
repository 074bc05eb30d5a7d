"""`fit`: train every replica of a network."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

from ..backends.arrays import ArrayLike
from ..datasets.odd import say_if_collapsed
from ..history import History
from ..nn.layers.tables import expect_embedded
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.optimizer import Optimizer
from ..optim.optimizers import get_optimizer
from ..optim.strategies import Strategy, get_strategy
from ..parsing import check_keys
from ..progress import progress_bar
from ..replicas import Seeds, replica_seeds
from .callbacks import call_all
from .checkpoints import has_begun, keep_checkpoints
from .recipe import Recipe, Settings, check_network
from .samples import Data, Samples, check_data
from .trainer import Trainer


def fit(
    network: Network,
    loss: str | Loss,
    optimizer: str | Optimizer,
    data: Data,
    *,
    rng: Seeds | None = None,
    sample_weight: ArrayLike | None = None,
    progress: bool | None = None,
    on_epoch: Callable[[dict[str, Any]], Any] | None = None,
    callbacks: Sequence[Any] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
    **settings: Unpack[Settings],
) -> History:
    """Train every replica of `network` in place.

    Parameters
    ----------
    network
        R networks.
    loss, optimizer
        Objects or names; objects that are passed in are not changed.
    data
        A `Dataset`; a name or path, as `load_dataset` takes; or ``(x, y)`` with x (N, I) and y (N,) labels or (N, C)
        targets.
    rng
        Seeds of the order of the data, see `replica_seeds`; None: the network's own seeds.
    sample_weight
        (N,), >= 0, for the training part.
    progress
        A bar on stderr; None: where stderr is a terminal.
    on_epoch
        Called with each epoch's record; a truthy answer stops the run. Where the strategy trains stages first, the
        records of their epochs hold the number of the "stage" too, from 1.
    callbacks
        Objects with a method ``on_epoch(record)``, called likewise; see `training.callbacks` for those that are there.
    checkpoint
        A folder for the run's state, see `training.checkpoints`: written when the run is interrupted by Ctrl-C, which
        waits for the end of the epoch, and at the end of each stage that the strategy trains first.
    checkpoint_every
        Write it after every this many epochs too, and when the run ends.
    resume
        Go on from the newest state in the folder, if there is one. The run ends in the same bits as one that was
        never interrupted.
    **settings
        How to train: epochs, batch_size, schedule, l2, l1, clip_norm, patience, monitor, tol, keep_best, strategy,
        flip, execution and device_memory. They become a `Recipe`, which explains them and holds their defaults.

    Returns
    -------
    History

    Raises
    ------
    ConfigError, DataError, ShapeError
        Settings or data that don't fit together, or an execution that is not possible here.
    DivergenceError
        The loss of every replica became NaN or infinite. The network holds the last good weights, and the error's
        `history` what happened until then. Where only some replicas diverge, they leave the stack, are marked in
        `History.status`, and the others go on.

    Examples
    --------
    >>> import xbnet
    >>> data = xbnet.load_dataset("gmm")
    >>> network = xbnet.Network([xbnet.Linear(10, "tanh"), xbnet.Linear(5)], data.n_inputs, replicas=2, rng=0)
    >>> history = fit(network, "cross_entropy", xbnet.SGD(lr=[0.1, 0.001]), data, epochs=3, rng=0)
    >>> history["val_accuracy"][-1].round(1)  # of each network
    array([0.6, 0.3])
    """
    check_network(network)
    check_keys("fit", settings, Settings.__annotations__)
    recipe = Recipe(**settings)
    samples = Samples.of(check_data(data), sample_weight=sample_weight)
    expect_embedded(network.layers, getattr(data, "codes", {}))
    say_if_collapsed("fit", samples.train.x, network.dtype, "standardize x (Dataset.scaled), or use float64")
    rng = None if rng is None else replica_seeds(rng, network.replicas)  # once: a generator would give others each time
    told_to_stop = False

    def train(net: Network, recipe: Recipe, history: History, stage: int = 0) -> History:
        """The run itself, or one of the stages before it, from 1."""
        nonlocal told_to_stop
        trainer = Trainer(net, get_loss(loss), get_optimizer(optimizer), samples, recipe, rng=rng, history=history)
        with (
            keep_checkpoints(trainer, checkpoint, checkpoint_every, resume, stage) as after_epoch,
            progress_bar(progress, total=recipe.epochs, unit="epoch") as bar,
        ):
            if told_to_stop:
                trainer.stop()
            try:
                while not trainer.done:
                    record = trainer.run_epoch()
                    bar(record)
                    if wants_to_stop({**record, "stage": stage} if stage else record):
                        told_to_stop = True
                        trainer.stop()
                    after_epoch()
            except BaseException:  # an interrupt, say: the network gets what is kept of those that have left
                with net.exclusive():
                    trainer.settle()
                raise
        return trainer.finish()

    number = itertools.count(1)

    def train_stage(net: Network, strategy: Strategy, epochs: int) -> History:
        first = replace(recipe, strategy=strategy, epochs=epochs, patience=None, monitor=None, keep_best=None)
        return train(net, first, History(net.replicas), stage=next(number))

    history = History(network.replicas)
    with call_all(callbacks, on_epoch) as wants_to_stop:
        if not has_begun(checkpoint, resume):
            history.stages = get_strategy(recipe.strategy).prepare(network, train_stage)
        return train(network, recipe, history)
