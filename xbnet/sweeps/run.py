"""`sweep`: configurations x seeds x folds, trained as stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.arrays import ArrayLike
from ..datasets.odd import say_if_collapsed
from ..errors import ConfigError
from ..nn.class_weights import balanced_weights
from ..parsing import float_type, is_whole, whole
from ..training.samples import Data, check_data
from .build import Program, layer_keys, settings_for
from .chunk import OUTCOME, sign
from .engine import run_members
from .halving import Bracket, make_brackets, parse_halving
from .plan import Member, expect_networks, make_members
from .pool import make_pool
from .refit import Source
from .result import SweepResult
from .space import Configuration, complete, configurations, count_configurations, listed_values
from .studies import Space, examples, make_study
from .trials import Sampling

COLUMNS = ("member", "configuration", "fold", "rung", "bracket", "schema", "arrays")
"""Of the table and its file, beside settings and `OUTCOME`."""

SAME_EPOCHS = "sweep: halving ranks after equal numbers of epochs; give one value of epochs"


def sweep(
    space: Any,
    data: Data,
    *,
    draws: int | None = None,
    sampler: Any = None,
    trials: int | None = None,
    at_once: int | None = None,
    seeds: int | Sequence[int] = 1,
    folds: int | Sequence[tuple[Any, Any]] | None = None,
    halving: Any = None,
    min_epochs: int | None = None,
    scaling: str = "none",
    layers: Callable[..., Any] | None = None,
    monitor: str | None = None,
    class_weight: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    backend: str = "numpy",
    dtype: str = "float32",
    execution: str = "auto",
    rng: int = 0,
    executor: Any = None,
    workers: int | None = None,
    memory: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
    **fixed: Any,
) -> SweepResult:
    """Train every configuration of a space, times seeds, times folds, as a few stacks of many networks.

    On NumPy each network ends with the same bits as when it is trained alone, whatever the stack, the chunk, the
    executor and the company; see `assert_replica_equal`.

    Parameters
    ----------
    space
        ``{key: values}``: all combinations of the lists; with `draws`, random ones, where a value may also be a
        distribution: text like ``"loguniform:1e-4,1"`` (uniform, loguniform, integers, logintegers) or a frozen one
        of scipy.stats. Or a list of configurations ``{key: value}``.

        Keys in which the networks of a stack may differ: lr, momentum, beta1, beta2, decay, eps, weight_decay, l1,
        l2, dropout, clip_norm, label_smoothing, init_scale (times the initial weights), seed, weight_seed,
        order_seed, schedule.PARAMETER. Keys that sort networks into stacks: hidden (a width, or widths in order),
        width and depth (in its place), residual, activation, batch_norm, sharing and members (see `sharing_mlp`),
        embed_numbers ("periodic"), batch_size, loss, optimizer, schedule, epochs, patience.
    data
        A name, a path, a `Dataset`, or ``(x, y)``.
    draws
        How many configurations to draw at random; None: all combinations.
    sampler
        Proposes configurations from the results of the earlier ones, see `trials`: "tpe" (tree-structured Parzen
        estimators) or "random", or a sampler or a study of Optuna (extra `optuna`).
    trials
        How many configurations `sampler` proposes. They come in batches; with `halving` pruned ones are reported,
        and new ones take their places in the running stacks.
    at_once
        With `sampler`: how many networks train at once, at least those of one trial; by default those of 32 trials. The
        more, the faster, and the less each trial knows of the others.
    seeds
        How many seeds, 0, 1, ..., or the seeds: whole numbers >= 0, of initial weights, dropout and order.
    folds
        Cross-validation on the training part: a number >= 2, or pairs of row numbers (train, validation).
    halving
        Successive halving: a factor > 1 such as 3. At each rung, after 1/9, 1/3 of the epochs and so on, only the best
        third of the configurations trains on, in stacks that are that much smaller; by the mean over seeds and folds
        of the best `monitor` so far. "hyperband" shares the configurations out among brackets, whose first rungs are
        higher and higher; "asha" lets the best so far go on as soon as a chunk ends, so that no worker waits (then
        the table depends on which chunk was first). Both may have a factor: "asha:4".
    min_epochs
        Epochs of halving's first rung, at least; by default 1.
    scaling
        Scaling of the inputs, fitted to each fold's own training part: "standard", "robust", "quantile" or "none"; see
        `Scaler.fit`.
    layers
        A function of further keys that returns the list of layers, e.g. ``lambda width: [...]``, in place of the
        keys that describe the default network. Rates of the key dropout come as one list for the stack.
    monitor
        The figure that stops, ranks and picks weights, see `fit`; by default "val_loss", or "train_loss" without
        anything to validate on.
    class_weight, sample_weight
        See the losses, and `fit`. "balanced" is by all labels of the training part, the same for all folds.
    backend, dtype
        See `Network`.
    execution
        How the steps run, see `fit`; "auto" decides by all networks of the sweep together, so that their last bits
        don't depend on how it is cut into stacks.
    rng
        Seed of draws and folds, >= 0.
    executor
        Where chunks run: "threads" (the default), "processes", "dask" or "dask:ADDRESS", or any
        `concurrent.futures.Executor`, such as ``MPIPoolExecutor``.
    workers
        How many chunks at once; by default one per core, or per worker of the executor; one on a GPU, or with
        processes one on each GPU.
    memory
        Bytes, or text like "2 GB" or "500 MiB", for all chunks that run at once; by default half of what is free.
    out
        A folder to keep results in as chunks end.
    resume
        Go on from the results in `out`; the table is the same as without the interruption.
    progress
        The plan and a bar on stderr; None: where stderr is a terminal.
    **fixed
        Any key that is not in the space, with one value for all; a row of a list of configurations may say otherwise.

    Returns
    -------
    SweepResult

    Raises
    ------
    ConfigError, DataError
        A space, data or settings that make no sense, in one line, before anything is trained.
    XbnetError
        Workers died again and again.

    Examples
    --------
    >>> result = sweep({"lr": [0.01, 0.1, 1.0], "l2": [0, 1e-4]}, "gmm", seeds=3, epochs=2, patience=5)
    >>> len(result)
    18
    """
    rng = whole("sweep", "rng", rng, least=0, most=None)
    generator = np.random.default_rng(rng)
    dataset = check_data(data, "sweep")
    custom = layer_keys(layers)
    for key in custom or ():
        if key in (*COLUMNS, *OUTCOME):
            raise ConfigError(f"sweep: layers takes {key}, which is a column of the table; give it another name")
    twice = sorted(set(space) & set(fixed)) if isinstance(space, Mapping) else []
    if twice:
        raise ConfigError(f"sweep: {twice[0]} is given twice, in the space and as {twice[0]}=; leave one of them out")
    if sampler is None and (trials is not None or at_once is not None):
        raise ConfigError("sweep: trials and at_once go with a sampler; give sampler='tpe', or draws=N for random ones")
    if sampler is not None and (draws is not None or trials is None):
        raise ConfigError("sweep: a sampler needs the number of trials, in place of draws: trials=N")
    some = draws if sampler is None else 1  # of a sampler: an example
    seeds_ = _seeds(seeds)
    expect_networks(count_configurations(space, draws if sampler is None else trials) * len(seeds_))
    values = space if sampler is None else examples(space)
    rows = configurations(values, some, generator)
    for row in listed_values(values, rows[0]) if some is not None else ():
        complete(row, fixed, custom)  # a value is wrong whether it was drawn or not
    rows = [complete(row, fixed, custom) for row in rows]
    if resume and out is None:
        raise ConfigError("sweep: resume goes on with the folder of an earlier sweep; say which: out=FOLDER")
    dtype = float_type("sweep", dtype).name
    pool = make_pool(dataset, folds, scaling=scaling, sample_weight=sample_weight, rng=rng)
    if scaling == "none":
        say_if_collapsed(
            "sweep", pool.data.train.x, dtype, "scaling='standard' keeps them, and so does dtype='float64'"
        )
    rows = [settings_for(row, pool) for row in rows]
    if isinstance(class_weight, str) and class_weight == "balanced" and dataset.task == "classification":
        class_weight = balanced_weights(dataset.train.y, dataset.n_outputs)  # the same for all folds
    program = Program(pool, layers, monitor, backend, dtype, class_weight, execution)
    count = None if pool.folds is None else len(pool.folds)
    members = make_members(rows, seeds_, count)
    how = parse_halving(halving, min_epochs)
    sampling = None
    if sampler is not None:

        def make(number: int, row: Configuration) -> list[Member]:
            own = make_members([settings_for(complete(row, fixed, custom), pool)], seeds_, count)
            return [replace(m, index=number * len(own) + m.index, configuration=number) for m in own]

        figure = monitor or ("train_loss" if pool.folds is None and pool.data.val is None else "val_loss")
        if resume and not isinstance(sampler, str):
            raise ConfigError(
                "sweep: resume asks the sampler again; name it, like sampler='tpe', or sweep without resume"
            )
        sampling = Sampling(
            make_study(sampler, "maximize" if sign(figure) > 0 else "minimize", rng),
            Space(space),
            whole("sweep", "trials", trials),
            len(members),
            whole("sweep", "at_once", 32 * len(members) if at_once is None else at_once, least=len(members)),
            make,
            None if how is None else how.factor,
        )
    brackets: Sequence[Bracket] = ()
    if how is not None:
        if sampling is not None and "epochs" in sampling.space.distributions:
            raise ConfigError(f"{SAME_EPOCHS}, got {space['epochs']!r}")
        ranked = range(len(rows) if sampling is None else sampling.count)
        brackets = make_brackets(ranked, _epochs(rows), how, generator)
    result = run_members(
        program,
        members,
        halving=how,
        brackets=brackets,
        sampling=sampling,
        executor=executor,
        workers=workers,
        memory=memory,
        out=out,
        resume=resume,
        progress=progress,
    )
    result.source = Source(dataset, scaling, sample_weight)
    return result


def _epochs(rows: Sequence[Configuration]) -> int:
    """Return the epochs of all configurations, which halving ranks after the same number of them."""
    found = sorted({row["epochs"] for row in rows})
    if len(found) > 1:
        raise ConfigError(f"{SAME_EPOCHS}, got {found}")
    return found[0]


def _seeds(seeds: Any) -> Sequence[int]:
    """The seeds of a count, or the seeds themselves."""
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        if not seeds:
            raise ConfigError("sweep: expected at least one seed, got none")
        return [whole("sweep", "seeds", seed, least=0, most=None) for seed in seeds]
    if not is_whole(seeds) or seeds < 1:
        raise ConfigError(f"sweep: expected seeds to be a count >= 1 or a list of seeds, got {seeds!r}")
    return range(whole("sweep", "seeds", seeds))
