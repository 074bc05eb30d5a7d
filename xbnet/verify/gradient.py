"""The tests themselves: `gradient_test` of a network with its loss, `jacobian_test` of a layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import expect_shape
from ..nn.layers import Layer
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.penalties import Penalty
from .batches import played, short_batch
from .checks import RETURNED, Check, adjoint, beside_dx, deterministic, isolated, permuted, single_precision
from .functionals import InnerProduct
from .numerical import compare_block
from .objective import Objective
from .points import move_to_general_position
from .prepare import brief, check_settings, cost_of, network_of, penalty_text, rows_of, seed_of, steps_of, theta_of
from .problem import THETA, Problem
from .results import Verification
from .taylor import taylor_curve

FLOAT32_TOLERANCE = 1e-3
MANY = 500
"""Entries of a block that are looked at one by one when its Taylor test has failed."""


def gradient_test(
    network: Network,
    loss: str | Loss,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    l2: Any = 0.0,
    l1: Any = 0.0,
    task: str | None = None,
    e0: float = 1.0,
    steps: int = 32,
    tolerance: float = 0.05,
    float32_tolerance: float = FLOAT32_TOLERANCE,
    jitter: float = 0.1,
    rng: Any = 0,
) -> Verification:
    """Test the gradient of a network's cost by every block of parameters, by all of theta, and by x.

    With a random direction d of length 1, f(p + e d) - f(p) has to vanish like e, and f(p + e d) - f(p) - e <grad, d>
    like e^2, for e = e0 * 0.5^i. The orders are measured where rounding does not rule and no kink is crossed; see
    `taylor.judge`.

    The network is left as it is: a twin of it is tested, in float64 and in training mode, with the dropout masks and
    running statistics frozen. So are a short batch after the full one, in the same memory, and steps that are recorded
    and played, as training does. A float32 network's own gradient is then compared with the twin's.

    Parameters
    ----------
    network
        R networks; all of them are tested in one pass.
    loss
        A name or a `Loss`.
    x, y
        (N, I) and (N,) labels or (N, C) targets; or x (R or 1, B, I) and y (R or 1, B) or (R or 1, B, C).
    sample_weight
        (N,) or (R or 1, B), >= 0.
    l2, l1
        Penalties, as in `fit`.
    task
        "classification", "multilabel" or "regression"; by default what y and the loss suggest.
    e0, steps
        Largest step, and how many halvings of it.
    tolerance
        How far below 1 or 2 an order may be.
    float32_tolerance
        By how much of a block's largest entry a float32 gradient may be off, see `checks.single_precision`.
    jitter
        The test is made near the network's theta: each number moves by about this share of its block's size, since
        gains of 1 and biases of 0 hide errors. With 0, theta stays, unless a kink is within reach.
    rng
        Seed of directions and moves.

    Returns
    -------
    Verification
        Print it, `plot` it, or let it `raise_if_failed`.

    Raises
    ------
    ShapeError, DataError, ConfigError
        Arguments that don't fit together.

    References
    ----------
    Farrell, Ham, Funke & Rognes, "Automated derivation of the adjoint of high-level transient finite element programs",
    2013, for the Taylor test.

    Examples
    --------
    >>> import numpy as np, xbnet
    >>> network = xbnet.Network([xbnet.Linear(4, "tanh"), xbnet.Linear(2)], n_inputs=3, rng=0)
    >>> result = gradient_test(network, "cross_entropy", np.eye(3), [0, 1, 0])
    >>> result.raise_if_failed()
    >>> result.orders["0.W"].round(1)  # of the two curves, expected 1 and 2
    array([[1., 2.]])
    """
    check_settings("gradient_test", tolerance, jitter)
    loss = get_loss(loss)
    x, functional = cost_of("gradient_test", network, loss, x, y, sample_weight, task)
    problem = Problem(network, theta_of("gradient_test", network), x, functional, Penalty(l2, l1))
    title = f"gradient_test: {brief(network)}, {loss!r}" + penalty_text(l2, l1)
    e = steps_of("gradient_test", e0, steps)
    return _verify(title, problem, e, tolerance, float32_tolerance, jitter, seed_of(rng), jacobian=False)


def jacobian_test(
    layer: Layer | Network,
    x: Any,
    *,
    replicas: int | None = None,
    backend: Any = "numpy",
    dtype: Any = "float64",
    e0: float = 1.0,
    steps: int = 32,
    tolerance: float = 0.05,
    float32_tolerance: float = FLOAT32_TOLERANCE,
    jitter: float = 0.1,
    rng: Any = 0,
) -> Verification:
    """Test a layer's backward, the product of its transposed Jacobian with a vector, by x and every parameter.

    The Taylor test of g = <f(x), u> with a random u, see `gradient_test`; the identity <u, J v> = <J^T u, v> with
    J v by differences; and, where there are few entries, the gradient entry by entry.

    Parameters
    ----------
    layer
        A layer, fresh or of a network; or a whole network.
    x
        (N, I), or (R or 1, B, I).
    replicas, backend, dtype
        The stack in which a fresh layer is tested; by default as many replicas as x has, or 2.
    e0, steps, tolerance, float32_tolerance, jitter, rng
        See `gradient_test`.

    Raises
    ------
    ShapeError, ConfigError
        Arguments that don't fit together.

    Returns
    -------
    Verification
        Print it, `plot` it, or let it `raise_if_failed`.

    Examples
    --------
    >>> import xbnet
    >>> jacobian_test(xbnet.LayerNorm(), [[1.0, 2.0, 4.0]]).passed
    True
    """
    check_settings("jacobian_test", tolerance, jitter)
    x = rows_of("jacobian_test", x)
    seed = seed_of(rng)
    if isinstance(layer, Network):
        network = layer
    else:
        network = network_of("jacobian_test", layer, x, replicas, backend, dtype, seed)
    R = network.replicas
    expect_shape("jacobian_test", "x", x, R=(1, R) if R > 1 else 1, B=x.shape[1], I=network.n_inputs)
    u = np.random.default_rng([seed, 1]).standard_normal((R, x.shape[1], network.layers[-1].n_outputs))
    problem = Problem(network, theta_of("jacobian_test", network), x, InnerProduct(u), Penalty())
    title = f"jacobian_test: {brief(network)}"
    e = steps_of("jacobian_test", e0, steps)
    return _verify(title, problem, e, tolerance, float32_tolerance, jitter, seed, jacobian=True)


def _verify(
    title: str,
    problem: Problem,
    steps: np.ndarray,
    tolerance: float,
    float32_tolerance: float,
    jitter: float,
    seed: int,
    jacobian: bool,
) -> Verification:
    """All of a test."""
    generator = np.random.default_rng(seed)
    single = None
    with np.errstate(all="ignore"):
        if problem.network.dtype == np.float32:
            single = Objective(problem, "float32")
        objective = Objective(problem, drawn=single.drawn() if single else None)
        placement = move_to_general_position(objective, jitter, generator)
        gradient = objective.gradient()
        noise = objective.noise(float(np.finfo(float).eps))
        curves = tuple(
            taylor_curve(objective, block, gradient[block], steps, noise, generator, tolerance)
            for block in objective.blocks
        )
        checks = [deterministic(objective, gradient), beside_dx(objective, gradient)]
        if objective.replicas > 1:
            checks += [isolated(objective, generator), permuted(objective, gradient, generator)]
        wrong = [c.block for c in curves if c.passed is False]
        if not wrong:
            checks += [*short_batch(objective, steps, generator, tolerance), played(objective, gradient)]
        if jacobian:
            checks += [adjoint(objective, block, generator) for block in objective.blocks]
            size = max(part.shape[1] for part in gradient.values())
            wrong = [b for b in objective.blocks if b != THETA] if size <= MANY else wrong
        comparisons = tuple(
            compare_block(objective, block, gradient[block], noise, generator, max_entries=MANY)
            for block in wrong
            if block != THETA
        )
        told = {c.block: np.array([j.passed is not None for j in c.judgements]) for c in curves}
        precision = single_precision(single, objective, gradient, float32_tolerance, told) if single else ()
        checks += [Check(RETURNED, False, line) for line in objective.returns.complaints()]
    layers = tuple(type(layer).__name__ for layer in problem.network.layers)
    return Verification(title, curves, tuple(checks), precision, placement, comparisons, tolerance, seed, layers)
