"""Members that share one body of weights: the layers of such a network, and what its loss is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import Array, Namespace
from ..errors import ConfigError
from .activations import Activation
from .initializers import Initializer
from .layers import Dropout, Layer
from .layers.tables import MemberOutputs, Members, SharedLinear

if TYPE_CHECKING:
    from .losses.arrays import LossArrays

SHARING = ("none", "tabm", "tabm-mini")
"""Ways in which members may share weights, see `sharing_mlp`."""


def sharing_mlp(
    hidden: Sequence[int],
    n_outputs: int,
    activation: str | Activation = "tanh",
    *,
    members: int,
    sharing: str = "tabm",
    dropout: float | Sequence[float] | np.ndarray = 0.0,
    initializer: str | Initializer | None = None,
) -> list[Layer]:
    """One network of k members that share the weights of their hidden layers, for `Network`.

    Parameters
    ----------
    hidden, n_outputs, activation, dropout, initializer
        See `mlp`; at least one hidden layer.
    members
        k >= 1.
    sharing
        "tabm": in each hidden layer a member scales inputs and outputs by vectors of its own, and has its own bias
        (Wen et al. 2020). "tabm-mini": the members differ by one vector on the inputs, and by their last layer
        (Gorishniy et al. 2024, section 3.3).

    Returns
    -------
    list of Layer

    Raises
    ------
    ConfigError
        There is no hidden layer, a setting is out of range or has no such name.

    Examples
    --------
    >>> sharing_mlp([8], 3, "relu", members=4, sharing="tabm-mini")[1]
    SharedLinear(n_outputs=8, activation='relu', members=4, adapters='none')
    """
    if sharing not in SHARING[1:]:
        raise ConfigError(f"sharing: expected {' or '.join(SHARING[1:])}, got {sharing!r}")
    if not len(hidden):
        raise ConfigError("sharing: expected at least one hidden layer, whose weights are shared, got none")
    layers: list[Layer] = [Members(members)]
    for k, width in enumerate(hidden):
        adapters = "none" if sharing == "tabm-mini" else "both" if k else "outputs"  # the inputs have theirs already
        layers.append(SharedLinear(width, activation, members=members, adapters=adapters, initializer=initializer))
        if np.ndim(dropout) or dropout:
            layers.append(Dropout(dropout))
    return [*layers, MemberOutputs(n_outputs, members=members, initializer=initializer)]


class MemberRows:
    """A loss takes each of k answers for a row as a row of its own: labels and weights k times, and shapes of a batch.

    Parameters
    ----------
    loss
        Bound.
    R, B, k
        The shape of the batch, and the members.
    """

    def __init__(self, loss: LossArrays, R: int, B: int, k: int):
        self.k, self.C, self.R, self.B = k, loss.n_outputs, R, B
        labelled = loss.task == "classification"
        more = () if labelled else (self.C,)
        space = loss._integers if labelled else loss._floats
        self.labels = space.carve({"labels": ("member labels", (B, k, *more))})["labels"]
        self.weights = loss._floats.carve({"weights": ("member weights", (B, k))})["weights"]

    def attributes(self) -> dict[str, Any]:
        """The loss of logits (R, B, k C)."""
        leading = {(1, self.B), (self.R, self.B)}
        more = self.labels.shape[3:]
        shapes = {(*rows, *more) for rows in leading}
        found = {"_shape": (self.R, self.B, self.k * self.C), "_leading": leading, "_label_shapes": shapes}
        return {**found, "_members": self}

    def rows(
        self, xp: Namespace, logits: Array, labels: Array, dlogits: Array | None, sample_weight: Array | None
    ) -> tuple[Array, Array, Array | None, Array | None]:
        """Logits and their gradient (R, B k, C), labels and weights with B k rows."""
        y = self._repeated(xp, labels, self.labels)
        w = None if sample_weight is None else self._repeated(xp, sample_weight, self.weights)
        shape = (self.R, self.B * self.k, self.C)
        return logits.reshape(shape), y, None if dlogits is None else dlogits.reshape(shape), w

    def _repeated(self, xp: Namespace, array: Array, out: Array) -> Array:
        """An array (L, B, ...) with each row k times, in memory (L, B, k, ...)."""
        L, B, *more = array.shape
        for j in range(self.k):
            xp.copyto(out[:L, :, j], array)
        return out[:L].reshape(L, B * self.k, *more)
