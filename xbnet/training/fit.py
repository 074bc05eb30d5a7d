"""`fit`: train every replica of a network."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..history import History
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.optimizers import Optimizer, get_optimizer
from ..optim.penalties import Penalty
from ..optim.schedules import Schedule, get_schedule
from ..optim.strategies import Strategy, get_strategy
from ..progress import progress_bar
from ..replicas import replica_seeds
from .checkpoints import has_begun, keep_checkpoints
from .checks import check_data
from .trainer import Trainer


def fit(
    network: Network,
    loss: str | Loss,
    optimizer: str | Optimizer,
    data: Any,
    *,
    epochs: int = 100,
    batch_size: int | str | None = "auto",
    rng: Any = None,
    schedule: str | Schedule | None = None,
    l2: Any = 0.0,
    l1: Any = 0.0,
    clip_norm: Any = None,
    patience: int | None = None,
    monitor: str | None = None,
    sample_weight: Any = None,
    strategy: str | Strategy = "joint",
    flip: float = 0.0,
    execution: str = "auto",
    device_memory: Any = None,
    progress: bool | None = None,
    on_epoch: Callable[[dict[str, Any]], Any] | None = None,
    checkpoint: str | Path | None = None,
    checkpoint_every: int | None = None,
    resume: bool = False,
) -> History:
    """Train every replica of `network` in place.

    Parameters
    ----------
    network
        R networks.
    loss, optimizer
        Objects or names; what is handed in stays as it is.
    data
        A `Dataset`, or ``(x, y)`` with x (N, I) and y (N,) labels or (N, C) targets.
    epochs
        >= 1.
    batch_size
        B in [1, N]; None: all N at once; "auto": 64, or N where there are fewer samples.
    rng
        Seeds of the order of the data, see `replica_seeds`; None: the network's own seeds.
    schedule
        Of the learning rate, see `get_schedule`.
    l2, l1
        Penalties, see `Penalty`: >= 0, a number or one per replica.
    clip_norm
        The largest norm of a replica's gradient (of the cost), > 0; a number or one per replica.
    patience
        Stop a replica after so many epochs without a better monitored figure, and give it its best weights back.
    monitor
        A figure of `History`; by default "val_loss", or "train_loss" without a validation part.
    sample_weight
        (N,), >= 0, for the training part.
    strategy
        Which parameters move when, see `get_strategy`.
    flip
        Probability in [0, 1] with which an image is mirrored left to right whenever it is trained on; needs the
        data set's `image_shape`.
    execution
        How steps are run on a CUDA device: "eager", "graph" or "persistent"; "auto" is the quickest that is possible.
        What was chosen stands in `History.execution`; the results are the same up to rounding.
    device_memory
        Bytes for the data, a number or text like "2 GB"; None: all of it lies on the device. Parts that don't fit stay
        on the host and come in chunks, see `streaming`; the results are the same.
    progress
        A bar on stderr; None: where stderr is a terminal.
    on_epoch
        Called with each epoch's record; a truthy answer stops the run. Where the strategy trains stages first, the
        records of their epochs hold the number of the "stage" too, from 1.
    checkpoint
        A folder for the run's state, see `resume.Checkpoints`: written when the run is interrupted by Ctrl-C, which
        waits for the end of the epoch, and at the end of each stage that the strategy trains first.
    checkpoint_every
        Write it after so many epochs too, and when the run ends.
    resume
        Go on from the newest state in the folder, if there is one. The run ends in the same bits as one that was
        never interrupted.

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
    """
    data, strategy = check_data(data), get_strategy(strategy)
    B: Any = min(64, len(data.train)) if batch_size == "auto" else batch_size
    rng = None if rng is None else replica_seeds(rng, network.replicas)  # once: a generator would give others each time
    told_to_stop = False

    def train(net: Network, strategy: Strategy, epochs: int, stage: int = 0, **more: Any) -> History:
        """The run itself, or one of the stages before it, from 1."""
        nonlocal told_to_stop
        trainer = Trainer(
            net, get_loss(loss), get_optimizer(optimizer), data, epochs=epochs, schedule=get_schedule(schedule),
            penalty=Penalty(l2, l1), batch_size=B, rng=rng, clip_norm=clip_norm, sample_weight=sample_weight,
            flip=flip, strategy=strategy, execution=execution, device_memory=device_memory,
            **({"patience": None, "monitor": None} | more),
        )  # fmt: skip
        if not stage:
            trainer.history.stages = stages
        with (
            keep_checkpoints(trainer, checkpoint, checkpoint_every, resume, stage) as after_epoch,
            progress_bar(progress, total=epochs, unit="epoch") as bar,
        ):
            if told_to_stop:
                trainer.stop()
            while not trainer.done:
                record = trainer.run_epoch()
                bar(record)
                if on_epoch is not None and on_epoch({**record, "stage": stage} if stage else record):
                    told_to_stop = True
                    trainer.stop()
                after_epoch()
        return trainer.finish()

    number = itertools.count(1)
    stages: list[History] = []
    if not has_begun(checkpoint, resume):
        stages = strategy.prepare(network, lambda net, how, epochs: train(net, how, epochs, stage=next(number)))
    return train(network, strategy, epochs, patience=patience, monitor=monitor)
