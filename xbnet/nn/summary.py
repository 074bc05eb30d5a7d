"""Displays of a network: a table as text, and a diagram for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..notebook import diagram, heading

if TYPE_CHECKING:
    from .network import Network


def describe(network: Network) -> str:
    """Make a table of the layers, their output widths and numbers of parameters.

    Parameters
    ----------
    network
        The network.

    Returns
    -------
    str
    """
    lines = [f"{'layer':<44}{'outputs':>9}{'parameters':>12}"]
    for layer in network.layers:
        lines.append(f"{layer!r:<44}{layer.n_outputs:>9}{sum(s.size for s in layer.parameters()):>12,}")
    return "\n".join([*lines, f"{'total':<44}{'':>9}{network.n_parameters:>12,}"])


def to_html(network: Network) -> str:
    """A box per layer with its parameters, and the shapes (R, B, width) of what passes between them."""
    boxes = [(repr(layer), f"{sum(s.size for s in layer.parameters()):,} parameters") for layer in network.layers]
    widths = [network.n_inputs, *(layer.n_outputs for layer in network.layers)]
    stack = f"{network.replicas} networks, each of " if network.replicas > 1 else ""
    line = f"{stack}{network.n_parameters:,} parameters, {network.backend.full_name}, {network.dtype.name}"
    return heading(line) + diagram(boxes, [f"({network.replicas}, B, {width})" for width in widths])
