"""Where the first mistake is: in a network with one wrong layer, wrong gradients point to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

X = "x"


class Returns:
    """Notes which layers' `backward` returns something, while a network runs: what it returns, nobody reads."""

    def __init__(self, layers: Sequence[Any]):
        self.found: dict[int, str] = {}
        for k, layer in enumerate(layers):
            layer.backward = self._watched(k, type(layer).__name__, layer.backward)

    def _watched(self, k: int, name: str, backward: Callable[..., Any]) -> Callable[..., None]:
        def watched(dy: Any, dx: Any) -> None:
            if backward(dy, dx) is not None:
                self.found[k] = name

        return watched

    def complaints(self) -> list[str]:
        """A line per layer that was noticed."""
        return [
            f"{k}.{name}.backward returns a value, which is not read: it has to overwrite dx (unless that is None) "
            "and the gradients of its parameters, such as self.dW"
            for k, name in sorted(self.found.items())
        ]


def suspect(passed: Mapping[str, bool], layers: Sequence[str]) -> str:
    """Name the place of the first mistake, as backward goes; an empty text where there is nothing to say.

    A mistake in what a layer hands on (dx) makes the gradients of all blocks before it wrong. A mistake in a
    parameter's own gradient leaves all others right.

    Parameters
    ----------
    passed
        Block ("0.W", "x", ...) -> whether its gradient is right.
    layers
        Names of the layers' classes, from inputs to outputs.
    """
    by_layer: dict[int, dict[str, bool]] = {}
    for block, right in passed.items():
        k, dot, name = block.partition(".")
        if dot:
            by_layer.setdefault(int(k), {})[name] = right
    wrong = [k for k, blocks in by_layer.items() if not all(blocks.values())]
    if not wrong and passed.get(X, True):
        return ""
    last = max(wrong, default=-1)
    if passed.get(X, True) or not all(k in wrong for k in by_layer if k < last):
        parts = [f"{k}.{layers[k]} ({_gradients(by_layer[k])})" for k in sorted(wrong)]
        return f"each layer's dx is right: look at {' and '.join(parts)}" if passed.get(X, True) else ""
    own = by_layer.get(last, {})
    if own and any(own.values()):  # it knows its dy, and some of its gradients are right
        return f"all gradients after {last}.{layers[last]} are right: look at its {_gradients(own)} and its dx"
    behind = min((k for k in by_layer if k > last), default=len(layers) - 1)
    between = [f"{k}.{layers[k]}" for k in range(last + 1, behind + 1)]
    if not between:  # the last layer is wrong, too
        return f"all gradients are wrong: look at {last}.{layers[last]} first, then at the loss"
    names = between[0] if len(between) == 1 else f"{', '.join(between[:-1])} or {between[-1]}"
    if last < 0:
        return f"the gradient of x is wrong, all others are right: look at the dx of {names}"
    before = "layer 0" if last == 0 else f"layers 0 to {last}"
    return (
        f"the gradients of {before} and of x are wrong, those after are right: look at the dx of {names}, "
        f"or at {last}.{layers[last]} itself"
    )


def _gradients(blocks: Mapping[str, bool]) -> str:
    """The gradients that are wrong, by the names that a layer knows them by."""
    return " and ".join(f"d{name}" for name, right in blocks.items() if not right)
