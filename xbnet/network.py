"""A stack of R networks: ordered layers over one theta, with buffers that are allocated once."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from .backend import Backend, get_backend
from .errors import ConfigError, DataError, ShapeError, XbnetError, expect_shape
from .layers import BATCH, Layer, copy_layers
from .links import LINKS
from .parameters import block_slices, carve, layout
from .replicas import replica_seeds, replica_values, stream
from .settings import float_type, whole_number
from .workspace import Workspace

LINKED_ROWS = 4096
"""Rows whose outputs become predictions at once, a multiple of `EVALUATION_ROWS`."""
EVALUATION_ROWS = 256
"""Rows per forward pass when many are predicted or evaluated. It is fixed because BLAS may round a product of other
sizes otherwise: so what a network predicts does not depend on how many it is stacked with."""


class Network:
    """R networks of the same shape, trained and run as one.

    Parameters
    ----------
    layers
        In order. They are copied: one list may serve several networks.
    n_inputs
        I >= 1.
    replicas
        R >= 1.
    backend
        A name or a `Backend`.
    dtype
        "float32" or "float64".
    rng
        Seeds of the initial weights and dropout masks, see `replica_seeds`.

    Attributes
    ----------
    theta, grad
        (R, P), never rebound: row i is all that replica i learns, and its gradient. Weights come first, see
        `parameters.layout`.
    state
        (R, S): what is kept but not trained (running statistics).
    specs, state_specs
        The blocks of a row of theta and of state, named "LAYER.NAME".
    parameters, gradients
        Block name -> view (R, ...) into theta or grad.
    link
        What turns the last layer's output into predictions, a name in `links.LINKS`; `fit` sets it from the loss.

    Raises
    ------
    ConfigError
        No layers, or impossible sizes, dtype or seeds.
    BackendError
        See `get_backend`.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        n_inputs: int,
        *,
        replicas: int = 1,
        backend: str | Backend = "numpy",
        dtype: Any = "float32",
        rng: Any = None,
    ):
        self.n_inputs = whole_number("Network", "n_inputs", n_inputs)
        self.replicas = whole_number("Network", "replicas", replicas)
        self.backend = get_backend(backend)
        self.dtype = float_type("Network", dtype)
        self.seeds = replica_seeds(rng, self.replicas)
        self.link = "softmax"
        self._bare = copy_layers(layers)
        self.streams = [stream(seed, "dropout") for seed in self.seeds]
        self._build()
        try:
            self._allocate()
        except MemoryError:
            size = self.replicas * sum(spec.size for spec in self.specs)
            raise ConfigError(f"Network: {size:,} parameters don't fit into memory; take smaller layers") from None
        self._initialize()

    # -- construction ----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Fix the sizes of the bare layers, and collect the blocks of theta and state."""
        width, specs, state_specs = self.n_inputs, [], []
        for k, layer in enumerate(self._bare):
            layer.build(width)
            width = layer.n_outputs
            specs += [replace(spec, name=f"{k}.{spec.name}") for spec in layer.parameters()]
            state_specs += [replace(spec, name=f"{k}.{spec.name}") for spec in layer.state()]
        self.specs, self.state_specs, self.n_outputs = layout(specs), tuple(state_specs), width

    def _allocate(self) -> None:
        """Make all arrays, and copies of the bare layers that work on them."""
        xp, R = self.backend.xp, self.replicas
        self.layers = [copy.copy(layer) for layer in self._bare]
        self.n_parameters = sum(spec.size for spec in self.specs)
        self.n_weights = sum(spec.size for spec in self.specs if spec.is_weight)
        self._theta = xp.zeros((R, self.n_parameters), dtype=self.dtype)
        self._grad = xp.zeros((R, self.n_parameters), dtype=self.dtype)
        self._state = xp.zeros((R, sum(spec.size for spec in self.state_specs)), dtype=self.dtype)
        self.parameters = carve(self._theta, self.specs)
        self.gradients = carve(self._grad, self.specs)
        self.statistics = carve(self._state, self.state_specs)
        self._forget_buffers()
        for k, layer in enumerate(self.layers):
            layer.backend, layer.xp = self.backend, xp
            layer.dtype = self.dtype
            for spec in layer.parameters():
                setattr(layer, spec.name, self.parameters[f"{k}.{spec.name}"])
                setattr(layer, "d" + spec.name, self.gradients[f"{k}.{spec.name}"])
            for spec in layer.state():
                setattr(layer, spec.name, self.statistics[f"{k}.{spec.name}"])
            for name, value in layer.hyper().items():
                setattr(layer, name, self.per_replica(type(layer).__name__, value)[:, :, None])
            layer.bind(self.streams)

    def _initialize(self) -> None:
        """Draw the blocks in layer order, each replica from its own stream."""
        theta = np.zeros(self._theta.shape, self.dtype)
        state = np.zeros(self._state.shape, self.dtype)
        slices, state_slices = block_slices(self.specs), block_slices(self.state_specs)
        in_layer_order = sorted(self.specs, key=lambda spec: int(spec.name.split(".")[0]))
        for r, seed in enumerate(self.seeds):
            rng = stream(seed, "init")
            for spec in in_layer_order:
                theta[r, slices[spec.name]] = spec.draw(rng).ravel()
            for spec in self.state_specs:
                state[r, state_slices[spec.name]] = spec.draw(rng).ravel()
        self._theta[...] = self.backend.asarray(theta)
        self._state[...] = self.backend.asarray(state)

    def per_replica(self, where: str, value: Any) -> Any:
        """A number, or one per replica, as a device column (R, 1) of the network's dtype."""
        return self.backend.asarray(replica_values(where, value, self.replicas)[:, None], self.dtype)

    # -- views -----------------------------------------------------------------------------------------------------

    @property
    def theta(self) -> Any:
        """(R, P)."""
        return self._theta

    @property
    def grad(self) -> Any:
        """(R, P), overwritten by `backward`."""
        return self._grad

    @property
    def state(self) -> Any:
        """(R, S)."""
        return self._state

    def _forget_buffers(self) -> None:
        self._activations, self._gradients = (Workspace(self.backend.xp, self.dtype, self.replicas) for _ in "ab")
        self._batch, self._backward_batch, self._ready = -1, -1, False
        self._between: list[Any] = []
        self.linalg = self.backend.linalg_for_buffers()
        for layer in self.layers:
            layer.linalg = self.linalg

    def _use(self, B: int) -> None:
        """Point every layer at its buffers for batches of B rows; all layers share their scratch memory."""
        shapes = {}
        for k, layer in enumerate(self.layers):
            for name, shape in layer.buffers().items():
                shapes[k, name] = (f"{k}.{name}", _fill(shape, B))
            for i, (name, shape) in enumerate(layer.scratch().items()):
                shapes[k, name] = (f"scratch{i}", _fill(shape, B))
        for (k, name), array in self._activations.carve(shapes).items():
            setattr(self.layers[k], name, array)
        self._batch, self._ready = B, False

    def _use_backward(self) -> None:
        """Gradients between the layers, for the last forward's batch: two pieces of memory, used in turn."""
        widths = [self.n_inputs] + [layer.n_outputs for layer in self.layers]
        shapes = {i: (f"d{i % 2}", (self._batch, width)) for i, width in enumerate(widths)}
        self._between = list(self._gradients.carve(shapes).values())
        self._backward_batch = self._batch

    @property
    def output_gradient(self) -> Any:
        """The gradient dlogits (R, B, C) for the last forward's batch: what the loss writes and `backward` reads."""
        if self._backward_batch != self._batch:
            self._use_backward()
        return self._between[-1]

    # -- running ---------------------------------------------------------------------------------------------------

    def forward(self, x: Any, *, training: bool = False) -> Any:
        """The logits (R, B, C) of x (R or 1, B, I) of this backend and dtype; overwritten by the next forward.

        Raises
        ------
        ShapeError
            x has another shape.
        """
        shape = x.shape
        if len(shape) != 3 or shape[2] != self.n_inputs or shape[0] not in (1, self.replicas):
            hint = "was a feature column dropped?" if len(shape) == 3 else "give it a replica axis: x[None]"
            leading = 1 if self.replicas == 1 else (1, self.replicas)
            expect_shape("Network.forward", "x", x, hint, R=leading, B=None, I=self.n_inputs)
        if x.dtype != self.dtype:
            raise ShapeError(
                f"Network.forward: expected x of dtype {self.dtype}, got {x.dtype}; "
                "convert it with network.backend.asarray(x, network.dtype)"
            )
        if shape[1] != self._batch:
            self._use(shape[1])
        for layer in self.layers:
            x = layer.forward(x, training)
        self._ready = training
        return x

    def backward(self, dlogits: Any = None, dx: Any = None) -> None:
        """Overwrite `grad` by the gradient, given dlogits (R, B, C), by default `output_gradient`.

        Parameters
        ----------
        dlogits
            Gradient by the last layer's output; overwritten.
        dx
            (R, B, I), overwritten by the gradient by x; None: not wanted.

        Raises
        ------
        XbnetError
            There was no ``forward(x, training=True)`` before.
        """
        if not self._ready:
            raise XbnetError("Network.backward: expected forward(x, training=True) before it; call that first")
        dy = self.output_gradient  # asked for in any case: it makes the buffers between the layers fit the batch
        if dlogits is not None:
            dy = dlogits
        for k in range(len(self.layers) - 1, 0, -1):
            self.layers[k].backward(dy, self._between[k])
            dy = self._between[k]
        self.layers[0].backward(dy, dx)

    # -- for users: host rows in, host predictions out ---------------------------------------------------------------

    def predict_proba(self, x: Any) -> np.ndarray:
        """The link's values for host rows x (N, I), on the host: (N, C) for one replica, (R, N, C) for a stack."""
        x = np.asarray(x)
        expect_shape("Network.predict", "x", x, N=None, I=self.n_inputs)
        if x.dtype.kind not in "fiub":
            raise DataError(f"Network.predict: expected x to hold numbers, got {x.dtype}; convert it to a float array")
        out = np.empty((self.replicas, len(x), self.n_outputs), self.dtype)
        step, (link, _) = EVALUATION_ROWS, LINKS[self.link]
        rows = self.backend.xp.empty((1, step, self.n_inputs), dtype=self.dtype)  # one array for all that is predicted
        for block in range(0, len(x), LINKED_ROWS):
            stop = min(block + LINKED_ROWS, len(x))
            for start in range(block, stop, step):
                n = min(start + step, stop) - start
                part = rows if n == step else rows[:, :n]
                part[...] = self.backend.asarray(x[start : start + n], self.dtype)
                out[:, start : start + n] = self.backend.to_host(self.forward(part))
            out[:, block:stop] = link(out[:, block:stop])
        return out[0] if self.replicas == 1 else out

    def predict(self, x: Any) -> np.ndarray:
        """Labels (N,) or (R, N) of host rows x (N, I); 0 or 1 (..., C) for multi-label, values for regression."""
        return LINKS[self.link][1](self.predict_proba(x))

    # -- stacks ------------------------------------------------------------------------------------------------------

    def select(self, rows: Sequence[int] | np.ndarray) -> Network:
        """A new network of the replicas `rows`, with their weights, statistics and dropout streams."""
        index = np.asarray(rows, dtype=int)
        if index.ndim != 1 or not len(index) or not np.all((index >= 0) & (index < self.replicas)):
            raise ConfigError(f"Network.select: expected replicas in [0, {self.replicas}), got {rows!r}")
        twin = copy.copy(self)
        twin._bare = [layer.select(index) for layer in self._bare]
        twin.replicas, twin.seeds = len(index), tuple(self.seeds[i] for i in index)
        twin.streams = [self.streams[i] for i in index]
        twin._allocate()
        where = self.backend.asarray(index)
        twin.theta[...] = self.theta[where]
        twin.state[...] = self.state[where]
        twin.release()  # its layers are copies, and hold this network's buffers
        return twin

    def buffer_bytes(self, B: int) -> int:
        """Bytes of the buffers that training with batches of B rows takes."""
        self._use(B)
        self._use_backward()
        return self._activations.nbytes() + self._gradients.nbytes()

    def release(self) -> None:
        """Let go of the buffers; the next forward allocates what it needs."""
        self._forget_buffers()
        self.forward(self.backend.xp.zeros((1, 1, self.n_inputs), dtype=self.dtype))  # layers let go, too

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy.deepcopy`: settings, random streams, theta and state on the host."""
        names = ("_bare", "n_inputs", "replicas", "backend", "dtype", "seeds", "link", "streams")
        arrays = {"theta": self.backend.to_host(self.theta).copy(), "state": self.backend.to_host(self.state).copy()}
        return {name: self.__dict__[name] for name in names} | arrays

    def __setstate__(self, state: dict[str, Any]) -> None:
        theta, statistics = state.pop("theta"), state.pop("state")
        self.__dict__.update(state)
        self._build()
        self._allocate()
        self.theta[...], self.state[...] = self.backend.asarray(theta), self.backend.asarray(statistics)

    def describe(self) -> str:
        """A table: layer, output width, parameters."""
        lines = [f"{'layer':<44}{'outputs':>9}{'parameters':>12}"]
        for layer in self.layers:
            count = sum(spec.size for spec in layer.parameters())
            lines.append(f"{layer!r:<44}{layer.n_outputs:>9}{count:>12,}")
        lines.append(f"{'total':<44}{'':>9}{self.n_parameters:>12,}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return (
            f"Network({self.layers!r}, n_inputs={self.n_inputs}, replicas={self.replicas}, "
            f"backend={self.backend.name!r}, dtype={self.dtype.name!r})"
        )


def _fill(shape: tuple[int | str, ...], B: int) -> tuple[int, ...]:
    return tuple(B if size == BATCH else int(size) for size in shape)
