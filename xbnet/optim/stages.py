"""The stages of a network, and a factor on the gradient of each."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from ..backends.parts import StepPart
from ..nn.network import Network
from ..nn.parameters import block_slices


def stages(network: Network) -> list[list[int]]:
    """Numbers of the layers of each stage.

    Parameters
    ----------
    network
        Each of its layers that has weights begins a stage; layers before the first belong to the first.

    Returns
    -------
    list of list of int
        The last stage is the classifier.

    Examples
    --------
    >>> import xbnet
    >>> stages(xbnet.Network([xbnet.Linear(8), xbnet.Dropout(0.1), xbnet.Linear(3)], n_inputs=4))
    [[0, 1], [2]]
    """
    layers = network.layers
    begins = [k for k, layer in enumerate(layers) if any(spec.is_weight for spec in layer.parameters())]
    return [list(range(*edges)) for edges in pairwise([0, *begins[1:], len(layers)])]


class GradientMask(StepPart):
    """A factor on the gradient of each stage of a network, the same in all steps of an epoch.

    Attributes
    ----------
    holds
        Whether some parameters don't move.
    """

    replayable = True

    def __init__(self, network: Network):
        self.network, self.xp, self.ops = network, network.backend.xp, network.backend.ops
        self.holds = False
        self._row: Any = None
        self._still: Any = None
        self._before: Any = None

    def set(self, factors: np.ndarray) -> None:
        """Use these factors, one per stage, from now on; all arrays keep their places."""
        network, xp, asarray = self.network, self.xp, self.network.backend.asarray
        row, slices = np.ones((1, network.n_parameters)), block_slices(network.specs)
        stage_of = {layer: s for s, layers in enumerate(stages(network)) for layer in layers}
        for spec in network.specs:
            row[:, slices[spec.name]] = factors[stage_of[spec.layer]]
        self.holds = bool((row == 0).any())
        if self._row is None:
            self._row = xp.zeros(row.shape, dtype=network.dtype)
        xp.copyto(self._row, asarray(row, network.dtype))
        if not self.holds:
            return
        if self._before is None:
            self._still, self._before = asarray(row == 0), xp.zeros(network.theta.shape, dtype=network.dtype)
        xp.copyto(self._still, asarray(row == 0))
        xp.copyto(self._before, network.theta)

    def weigh(self) -> None:
        """Multiply the gradient (R, P) by the factors."""
        self.xp.multiply(self.network.grad, self._row, out=self.network.grad)

    def hold(self) -> None:
        """Undo what a step did to frozen parameters: weight decay moves them without a gradient."""
        if self.holds:
            self.xp.copyto(self.network.theta, self._before, where=self._still)
