"""`sweep`: configurations x seeds x folds, trained as stacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..backends.backend import get_backend
from ..backends.blas import one_blas_thread
from ..backends.memory import expect_memory, free_bytes
from ..datasets import load_dataset
from ..errors import ConfigError
from ..files import make_folder, only_one
from ..parsing import is_whole, parse_bytes, whole
from ..training.samples import check_data
from .board import show_progress
from .build import Program, layer_keys, make_trainer, settings_for
from .chunk import Outcome
from .executors import open_workers, outcomes, visible_devices
from .fingerprint import fingerprint
from .footprint import Footprint, footprint
from .plan import Member, bucket_of, make_members, make_plan
from .pool import make_pool
from .result import SweepResult
from .space import complete, configurations, count_configurations, listed_values
from .store import Store
from .wire import listen

MEMBER_BYTES = 300
"""Of each network's settings and row in the table, at least."""


def sweep(
    space: Any,
    data: Any,
    *,
    draws: int | None = None,
    seeds: int | Sequence[int] = 1,
    folds: int | Sequence[tuple[Any, Any]] | None = None,
    standardize: bool = False,
    layers: Callable[..., Any] | None = None,
    monitor: str | None = None,
    class_weight: Any = None,
    sample_weight: Any = None,
    backend: str = "numpy",
    dtype: str = "float32",
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
        width and depth (in its place), residual, activation, batch_norm, batch_size, loss, optimizer, schedule,
        epochs, patience.
    data
        A name, a path, a `Dataset`, or ``(x, y)``.
    draws
        How many configurations to draw at random; None: all combinations.
    seeds
        How many seeds, 0, 1, ..., or the seeds: whole numbers >= 0, of initial weights, dropout and order.
    folds
        Cross-validation on the training part: a number >= 2, or pairs of row numbers (train, validation).
    standardize
        z-score the inputs, each fold by its own training part.
    layers
        A function of further keys that returns the list of layers, e.g. ``lambda width: [...]``, in place of the
        keys that describe the default network. Rates of the key dropout come as one list for the stack.
    monitor
        The figure that stops, ranks and picks weights, see `fit`; by default "val_loss", or "train_loss" without
        anything to validate on.
    class_weight, sample_weight
        See the losses, and `fit`.
    backend, dtype
        See `Network`.
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
        Go on with what is in `out`; the table is the same as without the interruption.
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
    dataset = load_dataset(data) if isinstance(data, (str, Path)) else check_data(data, "sweep")
    custom = layer_keys(layers)
    twice = sorted(set(space) & set(fixed)) if isinstance(space, Mapping) else []
    if twice:
        raise ConfigError(f"sweep: {twice[0]} is given twice, in the space and as {twice[0]}=; leave one of them away")
    seeds = _seeds(seeds)
    networks = count_configurations(space, draws) * len(seeds)
    expect_memory(
        "sweep",
        f"{networks:,} networks",
        networks * MEMBER_BYTES,
        get_backend("numpy"),
        "take fewer values, draws or seeds",
    )
    rows = configurations(space, draws, generator)
    for row in listed_values(space, rows[0]) if draws is not None else ():
        complete(row, fixed, custom)  # a value is wrong whether it was drawn or not
    rows = [complete(row, fixed, custom) for row in rows]
    if resume and out is None:
        raise ConfigError("sweep: resume goes on with the folder of an earlier sweep; say which: out=FOLDER")
    pool = make_pool(dataset, folds, standardize=standardize, sample_weight=sample_weight, rng=rng)
    rows = [settings_for(row, pool) for row in rows]
    program = Program(pool, layers, monitor, backend, dtype, class_weight)
    members = make_members(rows, seeds, None if pool.folds is None else len(pool.folds))
    return run_members(
        program,
        members,
        executor=executor,
        workers=workers,
        memory=memory,
        out=out,
        resume=resume,
        progress=progress,
    )


def run_members(
    program: Program,
    members: Sequence[Member],
    *,
    executor: Any = None,
    workers: int | None = None,
    memory: Any = None,
    out: str | Path | None = None,
    resume: bool = False,
    progress: bool | None = None,
) -> SweepResult:
    """Train members; the arguments are those of `sweep`."""
    device = get_backend(program.backend)
    if workers is not None:
        workers = whole("sweep", "workers", workers)
    budget = free_bytes(device) // 2 if memory is None else parse_bytes("sweep: memory", memory)
    costs, sizes, monitor = _probe(program, members)
    program = replace(program, monitor=monitor)
    devices = visible_devices(device.count())
    found: list[Outcome] = []
    with ExitStack() as held:
        store = None
        if out is not None:
            held.enter_context(only_one(make_folder(out)))
            store = Store(out, fingerprint(program, members), resume=resume)
            found += store.read(sizes, program.dtype)
        done = {index for outcome in found for index in outcome.members}
        left = [member for member in members if member.index not in done]
        on_cpu = device.name == "numpy"
        where = held.enter_context(open_workers(executor, workers, on_cpu=on_cpu, devices=devices))
        plan = make_plan(
            left,
            program.pool,
            workers=where.count,
            budget=budget if where.local or memory is not None else budget * max(1, len(devices)),
            footprint=lambda member: costs[bucket_of(member, program.pool)],
        )
        if where.local:
            held.enter_context(one_blas_thread())  # each chunk does, but so threads don't come and go between them
        board = held.enter_context(show_progress(progress, plan, monitor, n_done=len(done)))
        wire = None if where.local or board.bar is None else held.enter_context(listen(where.host, board.pulse))
        try:
            for chunk, outcome in outcomes(where, program, plan.chunks, board.run, wire):
                found.append(outcome)
                board.ended(chunk, outcome)
                if store is not None:
                    store.append(chunk.members, outcome)
        except BaseException:
            board.stopped = True  # chunks in threads end with their epoch
            raise
    return SweepResult(program, members, found)


def _probe(
    program: Program, members: Sequence[Member]
) -> tuple[dict[tuple, Footprint], Callable[[int], tuple[int, int]], str]:
    """What a network of each bucket costs, the sizes of a member's theta and state, and the monitored figure.

    Complains where settings don't fit together.
    """
    costs: dict[tuple, Footprint] = {}
    shapes: dict[tuple, tuple[int, int]] = {}
    monitor = ""
    for member in members:
        bucket = bucket_of(member, program.pool)
        if bucket not in costs:
            trainer = make_trainer(program, [member])
            costs[bucket], monitor = footprint(trainer), trainer.monitor
            shapes[bucket] = trainer.network.theta.shape[1], trainer.network.state.shape[1]
    by_index = {member.index: member for member in members}
    return costs, lambda index: shapes[bucket_of(by_index[index], program.pool)], monitor


def _seeds(seeds: Any) -> Sequence[int]:
    """The seeds of a count, or the seeds themselves."""
    if isinstance(seeds, Sequence) and not isinstance(seeds, str):
        if not seeds:
            raise ConfigError("sweep: expected at least one seed, got none")
        return [whole("sweep", "seeds", seed, least=0, most=None) for seed in seeds]
    if not is_whole(seeds) or seeds < 1:
        raise ConfigError(f"sweep: expected seeds to be a count >= 1 or a list of seeds, got {seeds!r}")
    return range(whole("sweep", "seeds", seeds))
