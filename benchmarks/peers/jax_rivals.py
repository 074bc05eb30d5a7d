"""JAX: a jitted step per call, and a whole epoch of steps in one call (`lax.scan`); stacks through `jax.vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .cases import Case
from .rival import Rival


def logits(activation: str, layers: list[dict[str, Any]], x: Any) -> Any:
    """Of one network."""
    s = {"tanh": jnp.tanh, "relu": jax.nn.relu}[activation]
    for k, layer in enumerate(layers):
        if "W1" in layer:
            x = x + s(x @ layer["W1"] + layer["b"]) @ layer["W2"]
        else:
            x = x @ layer["W"] + layer["b"]
            x = x if k == len(layers) - 1 else s(x)
    return x


class Jit(Rival):
    """One call of a jitted step per batch."""

    def __init__(self, case: Case):
        super().__init__(case)
        one = case.replicas == 1
        start = [{name: a[0] if one else a for name, a in layer.items()} for layer in case.start()]
        self.layers = jax.tree.map(jnp.asarray, start)
        x, y, rows = case.data()
        self.x, self.y, self.rows = jnp.asarray(x), jnp.asarray(y, dtype=jnp.int32), jnp.asarray(rows)
        lr = jnp.asarray(case.learning_rates[0] if one else case.learning_rates)

        def loss(layers: Any, xb: Any, yb: Any) -> Any:
            log_p = jax.nn.log_softmax(logits(case.activation, layers, xb))
            return -jnp.take_along_axis(log_p, yb[:, None], axis=1).mean()

        def update(layers: Any, lr: Any, xb: Any, yb: Any) -> tuple[Any, Any]:
            value, gradient = jax.value_and_grad(loss)(layers, xb, yb)
            return jax.tree.map(lambda p, g: p - lr * g, layers, gradient), value

        if not one:
            update = jax.vmap(update, in_axes=(0, 0, None, None))
        self._compile(lambda layers, index, x, y: update(layers, lr, x[index], y[index]))

    def _compile(self, step: Callable[..., tuple[Any, Any]]) -> None:
        self.call = jax.jit(step, donate_argnums=0)
        self.indices = list(self.rows)

    def run(self, epochs: int) -> None:
        layers = self.layers
        for _ in range(epochs):
            for index in self.indices:
                layers, value = self.call(layers, index, self.x, self.y)
        self.layers = jax.block_until_ready(layers)
        value.block_until_ready()

    def weights(self) -> list[dict[str, np.ndarray]]:
        shapes = self.case.start()
        return [
            {name: np.asarray(a).reshape(shape[name].shape) for name, a in layer.items()}
            for layer, shape in zip(self.layers, shapes, strict=True)
        ]

    @staticmethod
    def version() -> str:
        return f"JAX {jax.__version__}"


class Scan(Jit):
    """An epoch in one call."""

    def _compile(self, step: Callable[..., tuple[Any, Any]]) -> None:
        def epoch(layers: Any, rows: Any, x: Any, y: Any) -> tuple[Any, Any]:
            return jax.lax.scan(lambda carry, index: step(carry, index, x, y), layers, rows)

        self.call = jax.jit(epoch, donate_argnums=0)
        self.indices = [self.rows]
