"""`training_test`: is a step of training what the papers say, at every level of execution?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Unpack

import numpy as np

from ...errors import ConfigError
from ...nn.losses import Loss, get_loss
from ...nn.network import Network
from ...optim.optimizers import Optimizer, get_optimizer
from ...parsing import check_keys, whole
from ...replicas import replica_seeds
from ...training.recipe import Recipe, Settings, check_network
from ...training.samples import Samples, check_data
from ..prepare import seed_of
from .judge import Comparison, compare
from .localize import first_wrong_step
from .pairs import alone_and_resumed
from .reference import Reference
from .results import LevelResult, TrainingVerification
from .rules import RULES, Rule
from .runs import Plan, Seen, levels_of, observe
from .words import batch_size_text, fault_line


def training_test(
    network: Network,
    loss: str | Loss,
    optimizer: str | Optimizer,
    data: Any,
    *,
    sample_weight: Any = None,
    rule: Rule | None = None,
    levels: Sequence[str] | None = None,
    batch_sizes: Sequence[int] | None = None,
    rng: Any = 0,
    **settings: Unpack[Settings],
) -> TrainingVerification:
    """Hold steps of training against an independent text of the papers' rules, in float64.

    A copy of the network is trained for a few epochs at each level of execution, with two batch sizes, neither of which
    divides the number of samples, and without one replica towards the end. Beside it goes a second training: its
    gradient is the float64 twin's by forward and backward, which `gradient_test` proves; loss, weights, penalties,
    masks, clipping, schedule, order of the samples and rule are implemented again, per replica. Where the two differ,
    the step, batch, replica and block are named.

    How far rounding may have gone is measured, in float64 and in the network's own precision.

    Parameters
    ----------
    network
        R networks; they are left as they are.
    loss, optimizer
        Objects or names.
    data
        A `Dataset`, of which the training part is used, or ``(x, y)``. Ten samples are enough, some hundred the most
        that makes sense.
    sample_weight
        (N,), >= 0.
    rule
        The rule that an optimizer of your own should follow: ``rule(theta, grad, memory, t, **hyper)`` gives the new
        theta, see `verify.steps.rules`. Without it, your own optimizer is trusted: the test proves all
        that happens around its `update`, and that levels of execution, replicas and resumed runs agree.
    levels
        Levels of execution; by default all that are possible here.
    batch_sizes
        In [1, N]; by default two with a short last batch.
    rng
        Seed of the order of the samples.
    **settings
        The same as in `fit`: epochs (by default 3), schedule, l2, l1, clip_norm, strategy, flip, device_memory.

    Returns
    -------
    TrainingVerification
        Print it, or let it `raise_if_failed`.

    Raises
    ------
    ConfigError, DataError, ShapeError
        Arguments that don't fit together, or a level that was asked for and is not possible.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> x, y = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
    >>> network = xbnet.Network([xbnet.Linear(4, "tanh"), xbnet.Linear(2)], 3, replicas=2, rng=0)
    >>> xbnet.training_test(network, "cross_entropy", "adam", (x, y), levels=["eager", "replay"]).passed
    True
    """
    check_network(network)
    check_keys("training_test", settings, Settings.__annotations__)
    seed = seed_of(rng)
    plan = make_plan(
        network, get_loss(loss), get_optimizer(optimizer), data, sample_weight, batch_sizes, seed, settings
    )
    names, asked = levels_of(levels)
    found: list[LevelResult] = []
    absent: dict[str, str] = {}
    with np.errstate(all="ignore"):
        for dtype, level in runs_of(network, names):
            try:
                seen = observe(plan, level, dtype)
            except ConfigError as error:
                if asked or level == "eager":
                    raise
                absent[level] = str(error).partition("is not possible: ")[2].rpartition("; use")[0] or str(error)
                continue
            before = next((level for level in found if level.passed is not False and did_the_same(level, seen)), None)
            found.append(judge_level(plan, seen, rule) if before is None else replace(before, level=seen[0].level))
        checks = alone_and_resumed(plan)
    known = type(plan.optimizer) in RULES
    source = "the user's" if rule else "the paper's" if known else "the optimizer's own text, taken at its word"
    title = f"training_test: {brief(plan)}"
    return TrainingVerification(title, tuple(found), absent, tuple(checks), source, seed)


def runs_of(network: Network, levels: Sequence[str]) -> list[tuple[str, str]]:
    """Type of numbers and level of each run: in float64 call by call and replayed, where errors show best, and all that
    there are in the network's own precision.
    """
    own = network.dtype.name
    sharp = [] if own == "float64" else [("float64", level) for level in levels if level in ("eager", "replay")]
    return sharp + [(own, level) for level in levels]


def make_plan(
    network: Network,
    loss: Loss,
    optimizer: Optimizer,
    data: Any,
    sample_weight: Any,
    batch_sizes: Sequence[int] | None,
    seed: int,
    settings: Settings,
) -> Plan:
    """Return the plan of the runs, checked."""
    samples = replace(Samples.of(check_data(data, "training_test"), sample_weight=sample_weight), val=None)
    refused = [
        name for name in ("batch_size", "execution", "patience", "monitor", "tol", "keep_best") if name in settings
    ]
    if refused:
        cure = {"batch_size": "batch_sizes", "execution": "levels"}.get(refused[0], "")
        hint = f"; it takes {cure}" if cure else "; who stops when, and with which weights, is not part of a step"
        raise ConfigError(f"training_test: {refused[0]} is not a setting of this test{hint}")
    sizes = default_batch_sizes(samples.n) if batch_sizes is None else tuple(batch_sizes)
    if not sizes:
        raise ConfigError("training_test: expected at least one batch size, got none")
    sizes = tuple(whole("training_test", "batch_sizes", B) for B in sizes)
    more: dict[str, Any] = {"epochs": 3, **settings, "batch_size": sizes[0], "keep_best": False, "execution": "eager"}
    recipe = Recipe(**more)
    for B in sizes:
        replace(recipe, batch_size=B).check(network, loss, samples)
    R = network.replicas
    leaves = R // 2 if R > 1 and recipe.epochs > 1 else None
    return Plan(
        network, loss, optimizer, samples, recipe.check(network, loss, samples), sizes, replica_seeds(seed, R), leaves
    )


def default_batch_sizes(n: int) -> tuple[int, ...]:
    """Two that leave a short last batch, where n samples allow that."""
    first = max(1, round(0.4 * n))
    while first > 1 and n % first == 0:
        first -= 1
    second = max(1, first - 1)
    while second > 1 and n % second == 0:
        second -= 1
    return (first, second) if second != first else (first,)


def judge_level(plan: Plan, seen: Sequence[Seen], rule: Rule | None) -> LevelResult:
    """Hold all trainings at a level against the reference."""
    comparisons: list[Comparison] = []
    lines: list[str] = []
    for one in seen:
        reference = Reference(one, plan.loss, plan.optimizer, plan.samples, rule)
        comparison = compare(one, reference.intervals())
        comparisons.append(comparison)
        if comparison.faults:
            lines.append(fault_line(comparison, first_wrong_step(plan, comparison, rule)))
        for complaint in one.complaints:
            where = batch_size_text(one)
            lines.append(f"{one.level}: {complaint}" + (f", {where}" if where else ""))
    steps = sum(i.stop - i.first for one in seen for i in one.intervals)
    return LevelResult(seen[0].level, seen[0].dtype.name, steps, tuple(comparisons), tuple(lines))


def did_the_same(level: LevelResult, seen: Sequence[Seen]) -> bool:
    """Whether another level ended in the same bits after each step, so that one judgement serves both."""
    before = [comparison.seen for comparison in level.comparisons]
    return len(before) == len(seen) and all(map(same_bits, before, seen))


def same_bits(one: Seen, other: Seen) -> bool:
    """Tell whether weights, statistics and figures have the same bits."""
    if one.dtype != other.dtype or one.intervals != other.intervals or other.complaints:
        return False
    pairs = [(a, b) for p, q in zip(one.snapshots, other.snapshots, strict=True) for a, b in zip(p, q, strict=True)]
    pairs += [(one.figures[name], other.figures[name]) for name in one.figures]
    return all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)


def brief(plan: Plan) -> str:
    """A plan in a line."""
    network, recipe = plan.network, plan.recipe
    n = len(network.layers)
    layers = ", ".join(map(repr, network.layers[:4])) + (f", ... ({n})" if n > 4 else "")
    parts = [
        f"{network.n_inputs} -> [{layers}], R={network.replicas}, {network.dtype.name}, {network.backend.name}",
        repr(plan.loss),
        repr(plan.optimizer),
        *(f"{name}={value}" for name, value in (("l2", recipe.l2), ("l1", recipe.l1)) if np.any(np.asarray(value))),
        *(f"{name}={value!r}" for name, value in (("clip_norm", recipe.clip_norm),) if value is not None),
        *([repr(recipe.schedule)] if type(recipe.schedule).__name__ != "Schedule" else []),
        *([repr(recipe.strategy)] if type(recipe.strategy).__name__ != "Strategy" else []),
        f"batches of {' and '.join(map(str, plan.batch_sizes))} of {plan.samples.n}",
    ]
    return ", ".join(parts)
