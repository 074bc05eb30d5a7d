"""JAX: `vmap` over the networks, a jitted step per call, and a whole epoch per call (`lax.scan`)."""

from __future__ import annotations

import os
from typing import Any

os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the others need memory too

import jax
import jax.numpy as jnp
import numpy as np

from .cases import LR, MOMENTUM, Case, flat
from .rival import Rival, Unable


class Step(Rival):
    """A call per step."""

    def __init__(self, case: Case, device: str):
        super().__init__(case, device)
        if device == "cuda" and jax.default_backend() != "gpu":
            raise Unable("this JAX finds no GPU")
        jax.config.update("jax_default_matmul_precision", "tensorfloat32" if case.tf32 else "highest")
        x, y, rows = case.data()
        self.x, self.y, self.rows = jnp.asarray(x), jnp.asarray(y), jnp.asarray(rows)
        layers = [tuple(map(jnp.asarray, layer)) for layer in case.start()]
        self.state = layers, jax.tree.map(jnp.zeros_like, layers)

        def loss(layers: Any, x: Any, y: Any) -> Any:
            h = x
            for k, (w, b) in enumerate(layers):
                h = h @ w + b
                h = h if k == len(layers) - 1 else jax.nn.relu(h)
            picked = jnp.take_along_axis(h, y[:, None], 1)[:, 0]
            return (jax.nn.logsumexp(h, -1) - picked).mean()

        gradients = jax.vmap(jax.grad(loss), in_axes=(0, None, None))

        def step(state: Any, index: Any) -> tuple[Any, None]:
            layers, velocity = state
            found = gradients(layers, self.x[index], self.y[index])
            velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, found)
            return (jax.tree.map(lambda p, v: p - LR * v, layers, velocity), velocity), None

        self._compile(step)

    def _compile(self, step: Any) -> None:
        self.call = jax.jit(lambda state, index: step(state, index)[0], donate_argnums=0)
        self.parts = list(self.rows)

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            for part in self.parts:
                self.state = self.call(self.state, part)

    def wait(self) -> None:
        jax.block_until_ready(self.state)

    def weights(self) -> np.ndarray:
        return flat([tuple(map(np.asarray, layer)) for layer in self.state[0]])

    @staticmethod
    def version() -> str:
        return f"JAX {jax.__version__}"


class Scan(Step):
    """A call per epoch."""

    def _compile(self, step: Any) -> None:
        self.call = jax.jit(lambda state, rows: jax.lax.scan(step, state, rows)[0], donate_argnums=0)
        self.parts = [self.rows]
