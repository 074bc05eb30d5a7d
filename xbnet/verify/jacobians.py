"""The full Jacobian of small networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import expect_shape
from ..nn.layers import Layer
from ..nn.network import Network
from ..optim.penalties import Penalty
from .functionals import InnerProduct
from .objective import Objective
from .prepare import network_of, rows_of, seed_of, theta_of
from .problem import THETA, Problem


def jacobian(
    layer: Layer | Network, x: Any, *, replicas: int | None = None, backend: Any = "numpy", rng: Any = 0
) -> dict[str, np.ndarray]:
    """The derivative of every output by every entry of every block, by backward, in float64.

    One backward pass per output and row of the batch, for all replicas at once; replicas share nothing, so only
    their own blocks are kept. The layer or network is left as it is.

    Parameters
    ----------
    layer
        A network, or a layer as in `jacobian_test`.
    x
        (N, I), or (R or 1, B, I).
    replicas, backend, rng
        The stack in which a fresh layer is put; by default as many replicas as x has, or 2.

    Returns
    -------
    dict
        Block -> ``(R, B, O, *shape)``: a block per parameter, and "x" with ``(R, B, O, B, I)``.

    Raises
    ------
    ShapeError, ConfigError
        Arguments that don't fit together.

    Examples
    --------
    >>> import xbnet
    >>> found = jacobian(xbnet.Linear(2), [[1.0, 2.0, 3.0]], replicas=1)
    >>> found["0.W"].shape  # R, B, O, I, O
    (1, 1, 2, 3, 2)
    >>> found["0.W"][0, 0, 0].tolist()  # the first output: x, by the first column of W
    [[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]]
    """
    rows = rows_of("jacobian", x)
    if isinstance(layer, Network):
        network = layer
    else:
        network = network_of("jacobian", layer, rows, replicas, backend, "float64", seed_of(rng))
    R, B, n_outputs = network.replicas, rows.shape[1], network.layers[-1].n_outputs
    expect_shape("jacobian", "x", rows, R=(1, R) if R > 1 else 1, B=B, I=network.n_inputs)
    problem = Problem(
        network, theta_of("jacobian", network), rows, InnerProduct(np.zeros((R, B, n_outputs))), Penalty()
    )
    with np.errstate(all="ignore"):
        objective = Objective(problem)
        out = {b: np.empty((R, B, n_outputs, *objective.shape(b))) for b in objective.blocks if b != THETA}
        for b, o in np.ndindex(B, n_outputs):
            u = np.zeros((R, B, n_outputs))
            u[:, b, o] = 1
            row = objective.pullback(u)
            for block, array in out.items():
                array[:, b, o] = row[block].reshape(R, *array.shape[3:])
    return out
