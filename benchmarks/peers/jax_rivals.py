"""JAX: a jitted step per call, and a whole epoch of steps in one call (`lax.scan`); stacks through `jax.vmap`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .cases import Case
from .rival import Rival, Unable

MOMENTUM, EPS = 0.1, 1e-5
"""Momentum of the running statistics, and the term below the root, as in xbnet and PyTorch."""


def normalize(layer: dict[str, Any], x: Any, running: Any) -> tuple[Any, Any]:
    """Batch normalization of x (B, O), and what its running mean and variance become."""
    n, mean, var = len(x), x.mean(axis=0), x.var(axis=0)
    new = jnp.stack([mean, var * n / (n - 1)])
    y = layer["gain"] * (x - mean) * jax.lax.rsqrt(var + EPS) + layer["offset"]
    return y, (1 - MOMENTUM) * running + MOMENTUM * new


def drop(rate: float | None, key: Any, x: Any) -> Any:
    """Dropout of x (B, O)."""
    if not rate:
        return x
    return jnp.where(jax.random.bernoulli(key, 1 - rate, x.shape), x / (1 - rate), 0)


def logits(case: Case, layers: list[dict[str, Any]], x: Any, running: list[Any], key: Any) -> tuple[Any, list[Any]]:
    """The outputs of one network in training, and the running statistics after them."""
    s = {"tanh": jnp.tanh, "relu": jax.nn.relu}[case.activation]
    after: list[Any] = []
    for k, layer in enumerate(layers):
        if "W1" in layer:
            x = x + s(x @ layer["W1"] + layer["b"]) @ layer["W2"]
        elif "gain" in layer:
            x, new = normalize(layer, x, running[len(after)])
            after.append(new)
            x = drop(case.dropout, key if key is None else jax.random.fold_in(key, k), x)
        else:
            x = x @ layer["W"] + layer["b"]
            x = x if k == len(layers) - 1 else s(x)
    return x, after


class Jit(Rival):
    """One call of a jitted step per batch."""

    def __init__(self, case: Case):
        super().__init__(case)
        one = case.replicas == 1
        if not one and case.dropout is not None:
            raise Unable("dropout and batch normalization of one network only")
        start = [{name: a[0] if one else a for name, a in layer.items()} for layer in case.start()]
        layers = jax.tree.map(jnp.asarray, start)
        running = [jnp.array([[0.0], [1.0]]).repeat(layer["gain"].size, 1) for layer in start if "gain" in layer]
        self.carry = layers, running, jax.random.key(0) if case.dropout else None
        x, y, rows = case.data()
        self.x, self.y, self.rows = jnp.asarray(x), jnp.asarray(y, dtype=jnp.int32), jnp.asarray(rows)
        lr = jnp.asarray(case.learning_rates[0] if one else case.learning_rates)

        def loss(layers: Any, running: Any, key: Any, xb: Any, yb: Any) -> Any:
            outputs, after = logits(case, layers, xb, running, key)
            log_p = jax.nn.log_softmax(outputs)
            return -jnp.take_along_axis(log_p, yb[:, None], axis=1).mean(), after

        def update(carry: Any, lr: Any, xb: Any, yb: Any) -> tuple[Any, Any]:
            layers, running, key = carry
            now = None
            if key is not None:
                key, now = jax.random.split(key)
            (value, after), gradient = jax.value_and_grad(loss, has_aux=True)(layers, running, now, xb, yb)
            return (jax.tree.map(lambda p, g: p - lr * g, layers, gradient), after, key), value

        if not one:
            update = jax.vmap(update, in_axes=(0, 0, None, None))
        self._compile(lambda carry, index, x, y: update(carry, lr, x[index], y[index]))

    def _compile(self, step: Callable[..., tuple[Any, Any]]) -> None:
        self.call = jax.jit(step, donate_argnums=0)
        self.indices = list(self.rows)

    def run(self, epochs: int) -> None:
        carry = self.carry
        for _ in range(epochs):
            for index in self.indices:
                carry, value = self.call(carry, index, self.x, self.y)
        self.carry = jax.block_until_ready(carry)
        value.block_until_ready()

    def weights(self) -> list[dict[str, np.ndarray]]:
        shapes = self.case.start()
        return [
            {name: np.asarray(a).reshape(shape[name].shape) for name, a in layer.items()}
            for layer, shape in zip(self.carry[0], shapes, strict=True)
        ]

    @staticmethod
    def version() -> str:
        return f"JAX {jax.__version__}"


class Scan(Jit):
    """An epoch in one call."""

    def _compile(self, step: Callable[..., tuple[Any, Any]]) -> None:
        def epoch(carry: Any, rows: Any, x: Any, y: Any) -> tuple[Any, Any]:
            return jax.lax.scan(lambda carry, index: step(carry, index, x, y), carry, rows)

        self.call = jax.jit(epoch, donate_argnums=0)
        self.indices = [self.rows]
