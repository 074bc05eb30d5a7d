"""Numerical gradients, and backward's compared with them; at the network's own parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from ..optim.penalties import Penalty
from .numerical import H, compare_block, differences
from .objective import Objective
from .prepare import brief, cost_of, penalty_text, seed_of, theta_of
from .problem import THETA, Problem
from .results import GradientComparison


def numerical_gradient(
    network: Network,
    loss: str | Loss,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    l2: Any = 0.0,
    l1: Any = 0.0,
    task: str | None = None,
    h: float = H,
) -> dict[str, np.ndarray]:
    """The gradient of the cost by central differences (f(p + h) - f(p - h)) / 2h, in float64.

    It costs two forward passes per entry, for all replicas at once. The network is left as it is.

    Parameters
    ----------
    network, loss, x, y, sample_weight, l2, l1, task
        See `gradient_test`. Dropout masks are drawn once from the network's seeds.
    h
        Step; relative to entries that are larger than 1.

    Returns
    -------
    dict
        Block -> ``(R, *shape)``: a block per parameter, as in `network.gradients`, and "x" (R, B, I). NaN where every
        step crosses a kink, even one of h / 4096.

    Raises
    ------
    ShapeError, DataError, ConfigError
        Arguments that don't fit together.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(2)], n_inputs=3, rng=0)
    >>> found = numerical_gradient(network, "cross_entropy", np.eye(3), [0, 1, 0])
    >>> {name: block.shape for name, block in found.items()}
    {'0.W': (1, 3, 2), '0.b': (1, 1, 2), 'x': (1, 3, 3)}
    """
    objective, _ = _objective("numerical_gradient", network, loss, x, y, sample_weight, l2, l1, task)
    out = {}
    with np.errstate(all="ignore"):
        for block in objective.blocks:
            if block != THETA:
                shape = objective.shape(block)
                found = differences(objective, block, np.arange(np.prod(shape, dtype=int)), h)
                out[block] = found.reshape(objective.replicas, *shape)
    return out


def compare_gradients(
    network: Network,
    loss: str | Loss,
    x: Any,
    y: Any,
    *,
    sample_weight: Any = None,
    l2: Any = 0.0,
    l1: Any = 0.0,
    task: str | None = None,
    tolerance: float = 1e-6,
    max_entries: int | None = 2000,
    h: float = H,
    rng: Any = 0,
) -> GradientComparison:
    """Compare backward's gradient with central differences, entry by entry, in float64.

    Parameters
    ----------
    network, loss, x, y, sample_weight, l2, l1, task
        See `gradient_test`.
    tolerance
        By how much of its block's largest entry a gradient may be off, besides rounding.
    max_entries
        A larger block is sampled, this many entries of every replica; None: all are compared.
    h
        See `numerical_gradient`.
    rng
        Seed of the sample.

    Returns
    -------
    GradientComparison
        Print it, `plot` it, or let it `raise_if_failed`.

    Raises
    ------
    ShapeError, DataError, ConfigError
        Arguments that don't fit together.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(2)], n_inputs=3, rng=0)
    >>> found = compare_gradients(network, "cross_entropy", np.eye(3), [0, 1, 0])
    >>> found.raise_if_failed()
    >>> [block.block for block in found.blocks]
    ['0.W', '0.b', 'x']
    """
    objective, title = _objective("compare_gradients", network, loss, x, y, sample_weight, l2, l1, task)
    generator = np.random.default_rng(seed_of(rng))
    with np.errstate(all="ignore"):
        gradient = objective.gradient()
        noise = objective.noise(float(np.finfo(float).eps))
        blocks = tuple(
            compare_block(
                objective, b, gradient[b], noise, generator, tolerance=tolerance, h=h, max_entries=max_entries
            )
            for b in objective.blocks
            if b != THETA
        )
    return GradientComparison(title, blocks, tolerance)


def _objective(
    where: str, network: Network, loss: str | Loss, x: Any, y: Any, sample_weight: Any, l2: Any, l1: Any, task: Any
) -> tuple[Objective, str]:
    """The objective at the network's own theta, and a title."""
    loss = get_loss(loss)
    rows, cost = cost_of(where, network, loss, x, y, sample_weight, task)
    problem = Problem(network, theta_of(where, network), rows, cost, Penalty(l2, l1))
    with np.errstate(all="ignore"):
        return Objective(problem), f"{where}: {brief(network)}, {loss!r}{penalty_text(l2, l1)}"
