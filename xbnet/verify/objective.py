"""The function under test: f (R,) of theta and x in float64, and its gradient by forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..nn.network import Network
from ..nn.parameters import block_slices
from .kinks import Kinks
from .problem import THETA, Drawn, Noise, Problem, Sample, X
from .rounding import Rounding
from .suspects import Returns


class Objective:
    """A twin of the network in training mode, whose dropout masks and running statistics are frozen.

    Parameters
    ----------
    problem
        Problem to evaluate.
    dtype
        Floating-point type of the twin.
    drawn
        The masks to use, as another objective has `drawn` them; by default it draws its own.
    """

    def __init__(self, problem: Problem, dtype: Any = "float64", drawn: Drawn | None = None):
        user = problem.network
        self.problem, self.replicas = problem, user.replicas
        self.network = Network(
            user.layers,
            user.n_inputs,
            replicas=user.replicas,
            backend=user.backend,
            dtype=dtype,
            rng=list(user.seeds),
        )
        self.backend = self.network.backend
        self.slices = block_slices(self.network.specs)
        in_layer_order = sorted(self.network.specs, key=lambda spec: spec.layer)
        self.blocks = (*(spec.name for spec in in_layer_order), THETA, X) if self.slices else (X,)
        self.penalty = problem.penalty.bind(self.network)
        self.kinks = Kinks(self.network, self.penalty.active and self.penalty.uses_l1)
        self.rounding = Rounding(self.backend, self.network.dtype)
        for part in (*self.network.layers, self.penalty):
            self.rounding.attach(part)
        self.returns = Returns(self.network.layers)
        self._warm_up()
        self._cost = problem.functional.bind(self.network, np.arange(problem.x.shape[1]), self.rounding)
        self.place(problem.theta, problem.x)
        self._freeze(drawn)

    # -- preparation -----------------------------------------------------------------------------------------------

    def _device(self, host: np.ndarray) -> Any:
        return self.backend.asarray(host, self.network.dtype)

    def _warm_up(self) -> None:
        """Run once elsewhere with a longer batch, so that buffers hold what a careless layer would take for its own."""
        rows = np.append(np.arange(self.problem.x.shape[1]), 0)
        self._cost = self.problem.functional.bind(self.network, rows, self.rounding)
        self.place(self.problem.theta, self.problem.x[:, rows])
        self._run_elsewhere()

    def _freeze(self, drawn: Drawn | None) -> None:
        """Draw the masks of this batch and keep them; the running statistics are the user's."""
        self._forward()
        for layer in self.network.layers:
            layer.frozen = True
        if drawn is not None:
            self._keep(drawn)
        self.network.state[...] = self._device(self.backend.to_host(self.problem.network.state))
        self.mark()

    def _keep(self, drawn: Drawn) -> None:
        for (k, name), array in drawn.items():
            getattr(self.network.layers[k], name)[...] = self._device(array)

    @contextmanager
    def on_rows(self, rows: np.ndarray) -> Iterator[None]:
        """Another batch within this context, these rows with masks of their own; of the same network, bound once."""
        (theta, x), drawn, cost = self.point(), self.drawn(), self._cost
        self._turn_to(theta, x[:, rows], self.problem.functional.bind(self.network, rows, self.rounding), None)
        try:
            yield
        finally:
            self._turn_to(theta, x, cost, drawn)

    def _turn_to(self, theta: np.ndarray, x: np.ndarray, cost: Any, drawn: Drawn | None) -> None:
        self._cost = cost
        self.place(theta, x)
        for layer in self.network.layers:
            layer.frozen = False
        self._freeze(drawn)

    def drawn(self) -> Drawn:
        """Return the arrays that the layers keep from forward to backward, on the host: masks among them."""
        layers = list(enumerate(self.network.layers))
        return {
            (k, name): self.backend.to_host(getattr(layer, name)) + 0.0
            for k, layer in layers
            for name in layer.buffers()
        }

    def place(self, theta: np.ndarray, x: np.ndarray) -> None:
        """Go to another base point, host theta (R, P) and x (R or 1, B, I); call `mark` when it is final."""
        self._theta, self._x_home = self._device(theta), self._device(x)
        full = np.broadcast_to(x, (self.replicas, *x.shape[1:]))
        self._x_full = self._x_home if len(x) == self.replicas else self._device(full)
        self.home()

    def home(self) -> None:
        """Back to the base point."""
        self.network.theta[...] = self.rounding.moved(self._theta)
        self._x = self.rounding.moved(self._x_home)

    def mark(self) -> Sample:
        """Take the present base point as the side of every kink to stay on, and evaluate there."""
        self.home()
        self._forward()
        self.kinks.mark()
        return self.value()

    # -- evaluation --------------------------------------------------------------------------------------------------

    def _forward(self) -> Any:
        """Outputs (R, B, O) at the present point."""
        self.kinks.begin()
        outputs = self.network.forward(self._x, training=True)
        shape, wanted = getattr(outputs, "shape", None), (self._x.shape[1], self.network.layers[-1].n_outputs)
        if shape not in ((1, *wanted), (self.replicas, *wanted)):
            layer, got = self.network.layers[-1], type(outputs).__name__ if shape is None else shape
            raise ShapeError(
                f"{type(layer).__name__}.forward: expected it to return (R={self.replicas}, B={wanted[0]}, "
                f"O={wanted[1]}), got {got}; a layer of another width sets n_outputs in build"
            )
        return outputs

    def value(self) -> Sample:
        """F at the present point."""
        f, scale = self._cost(self._forward())
        if self.penalty.active:
            penalty = self.backend.to_host(self.penalty.value())[:, 0].astype(float)
            f, scale = f + penalty, scale + penalty
        return Sample(f, scale, self.kinks.crossed())

    def shape(self, block: str) -> tuple[int, ...]:
        """Return the shape of a block, without R."""
        if block == X:
            return tuple(self._x_home.shape[1:])
        if block == THETA:
            return (self.network.n_parameters,)
        return tuple(self.network.parameters[block].shape[1:])

    def along(self, block: str, direction: np.ndarray, steps: np.ndarray) -> Iterator[Sample]:
        """F at the base point plus e times host `direction` (R, n) in one block, for each e of `steps`."""
        d = self._device(direction.reshape(self.replicas, *self.shape(block)))
        for e in steps:
            self._move(block, d, float(e))
            yield self.value()
        self.home()

    def go(self, block: str, direction: np.ndarray, e: float) -> None:
        """Go to the base point plus e times host `direction` (R, *shape) in one block; call `home` afterwards."""
        self._move(block, self._device(direction), e)

    def _move(self, block: str, d: Any, e: float) -> None:
        if block == X:
            self._x = self._x_full + e * d
        elif block == THETA:
            self.network.theta[...] = self._theta + e * d
        else:
            home = self._theta[:, self.slices[block]].reshape(d.shape)
            self.network.parameters[block][...] = home + e * d

    def poke(self, block: str, entry: int, h: float) -> tuple[Sample, np.ndarray]:
        """F with one entry of a block of every replica moved by h, and by how much it truly moved (R,)."""
        network, R = self.network, self.replicas
        if block == X:
            self._x = self._x_full + 0.0
            moved, home = (
                self._x.reshape(R, -1)[:, entry : entry + 1],
                self._x_full.reshape(R, -1)[:, entry : entry + 1],
            )
        else:
            column = entry + (0 if block == THETA else self.slices[block].start)
            moved, home = network.theta[:, column : column + 1], self._theta[:, column : column + 1]
        size = self.backend.xp.maximum(abs(home), 1.0)
        moved[...] = home + h * size
        width = self._host(moved - home)[:, 0]
        sample = self.value()
        moved[...] = home
        self._x = self._x_home
        return sample, width

    def point(self) -> tuple[np.ndarray, np.ndarray]:
        """The base point: host theta (R, P) and x (R or 1, B, I)."""
        theta, x = self.backend.to_host(self._theta), self.backend.to_host(self._x_home)
        return theta.astype(float), x.astype(float)

    def noise(self, eps: float, probes: int = 6) -> Noise:
        """How far rounding to a precision of `eps` moves f and its gradient; measured, see `rounding`."""
        base, gradient = self.value(), self._with_dx(self._cost)
        f = np.zeros(self.replicas)
        moves: dict[str, list[np.ndarray]] = {block: [] for block in gradient}
        for _ in range(probes):
            with self.rounding.of_size(eps):
                self.home()
                f = np.maximum(f, np.abs(self.value().f - base.f))
                for block, part in self._with_dx(self._cost, fresh=False).items():
                    moves[block].append(part - gradient[block])
        self.home()
        return Noise(f + 2 * eps * base.scale, {block: np.stack(parts) for block, parts in moves.items()})

    def outputs(self) -> np.ndarray:
        """Return the network's outputs at the present point, host (R, B, O)."""
        return self.backend.to_host(self._forward()).astype(float)

    def gradient(self) -> dict[str, np.ndarray]:
        """Block -> host (R, n), at the base point; theta's as training computes it, by a backward without dx."""
        return self._by_block(self._backward(self._cost, None)) | {X: self.gradient_with_dx()[X]}

    def gradient_with_dx(self) -> dict[str, np.ndarray]:
        """The same, by one backward that writes dx too."""
        return self._with_dx(self._cost)

    def pullback(self, u: np.ndarray) -> dict[str, np.ndarray]:
        """Block -> host (R, n): the transposed Jacobian of the outputs times u (R, B, O), without any penalty."""
        on_device = self._device(u)

        def hand_in(outputs: Any, gradient: Any) -> None:
            gradient[...] = on_device

        return self._with_dx(hand_in, penalty=False)

    def _with_dx(self, functional: Any, penalty: bool = True, fresh: bool = True) -> dict[str, np.ndarray]:
        dx = self.backend.xp.empty(self._x_full.shape, dtype=self.network.dtype)
        return self._by_block(self._backward(functional, dx, penalty, fresh)) | {X: self._host(dx)}

    def _by_block(self, grad: np.ndarray) -> dict[str, np.ndarray]:
        blocks = {name: grad[:, part] for name, part in self.slices.items()}
        return blocks | {THETA: grad} if blocks else {}

    def _host(self, array: Any) -> np.ndarray:
        return self.backend.to_host(array).astype(float).reshape(self.replicas, -1)

    def _backward(self, functional: Any, dx: Any, penalty: bool = True, fresh: bool = True) -> np.ndarray:
        """The gradient (R, P) at the base point, by a backward all of whose results held NaN before."""
        if fresh:
            self._run_elsewhere()
        network, nan = self.network, float("nan")
        outputs = self._forward()
        for array in (network.grad, network.output_gradient, dx):
            if array is not None:
                array[...] = nan
        functional(outputs, network.output_gradient)
        network.backward(dx=dx)
        if penalty and self.penalty.active:
            self.penalty.add_gradient()
        return self._host(network.grad)

    def _run_elsewhere(self) -> None:
        """Forward and backward at another point, then forward at a third; what they leave over can't pass for right."""
        for last in (False, True):
            self.network.theta[...] = self._theta * self._random_factors(self._theta.shape)
            self._x = self._x_home * self._random_factors(self._x_home.shape)
            outputs = self._forward()
            if not last:
                self._cost(outputs, self.network.output_gradient)
                self.network.backward()
        self.home()

    def _random_factors(self, shape: tuple[int, ...]) -> Any:
        """In [0.5, 1.5), on the device."""
        return self._device(self.rounding.rng.uniform(0.5, 1.5, shape))
