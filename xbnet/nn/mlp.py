"""`mlp`: the layers of the usual network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ConfigError
from ..parsing import is_whole, whole
from .activations import Activation
from .initializers import Initializer
from .layers import MOST_LAYERS, BatchNorm, Dropout, Layer, Linear, Residual


def mlp(
    hidden: int | Layer | Sequence[int | Layer],
    n_outputs: int,
    activation: str | Activation = "tanh",
    *,
    residual: int = 0,
    batch_norm: bool = False,
    dropout: float | Sequence[float] | np.ndarray = 0.0,
    initializer: str | Initializer | None = None,
) -> list[Layer]:
    """Hidden layers, residual blocks and a last layer without an activation, for `Network`.

    Parameters
    ----------
    hidden
        The width of each hidden layer; ``()`` makes a linear model. A `Layer` among them is taken as it is.
    n_outputs
        O >= 1.
    activation
        The function of the hidden layers and within the residual blocks: a name or an `Activation`.
    residual
        How many residual blocks follow the hidden layers, <= 10,000.
    batch_norm
        Normalize over the batch after each hidden layer and block.
    dropout
        Drop outputs after each hidden layer and block: a rate in [0, 1), or one per replica. The rate 0 makes no
        layers, rates per replica always do.
    initializer
        How all weights start; by default what suits the activation.

    Returns
    -------
    list of Layer

    Raises
    ------
    ConfigError
        A setting is out of range or has no such name.

    Examples
    --------
    >>> from xbnet import Network, mlp
    >>> mlp([10], 3, "relu", dropout=0.1)
    [Linear(n_outputs=10, activation='relu'), Dropout(rate=0.1), Linear(n_outputs=3)]
    >>> Network(mlp([10, 7], 3), n_inputs=4, replicas=8).theta.shape
    (8, 151)
    """
    residual = whole("mlp", "residual", residual, least=0, most=MOST_LAYERS)
    blocks = [hidden] if is_whole(hidden) or isinstance(hidden, Layer) else hidden
    if not isinstance(blocks, (list, tuple, np.ndarray)):
        raise ConfigError(f"mlp: expected hidden to be widths like [10, 7], got {hidden!r}")
    drops = np.ndim(dropout) > 0 or bool(dropout)
    layers: list[Layer] = []

    def add(layer: Layer) -> None:
        layers.append(layer)
        if batch_norm:
            layers.append(BatchNorm())
        if drops:
            layers.append(Dropout(dropout))

    for block in blocks:
        if isinstance(block, Layer):
            layers.append(block)
        else:
            add(Linear(block, activation, initializer=initializer))
    for _ in range(residual):
        add(Residual(activation, initializer=initializer))
    return [*layers, Linear(n_outputs, initializer=initializer)]
