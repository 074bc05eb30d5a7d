"""A stack of R networks: ordered layers over one theta, with buffers that are allocated once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backends.arrays import Array, DTypeLike, Rows
from ..backends.backend import Backend, get_backend
from ..errors import ConfigError, ShapeError, XbnetError, expect_shape
from ..parsing import float_type, whole
from ..replicas import PerReplica, Seeds, replica_seeds, replica_values, stream, twin_stream
from .buffers import LayerBuffers, Workspace
from .layers import Layer
from .layers.build import build_layers, copy_layers
from .memory import expect_network
from .parameters import carve, draw_rows
from .predictor import Predictor, predict, predict_proba, rows_at_once
from .summary import describe, to_html
from .turns import Turns


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
        (R, S): values that are kept but not trained (running statistics).
    specs, state_specs
        The blocks of a row of theta and of state, named "LAYER.NAME".
    parameters, gradients
        Block name -> view (R, ...) into theta or grad.
    compiled
        Whether the compiled machine predicts; `fit` sets it where that has trained the network.
    link
        The function that turns the last layer's output into predictions, a name in `outputs.LINKS`; `fit` sets it.

    Raises
    ------
    ConfigError, BackendError
        No layers, or impossible sizes, dtype or seeds; see `get_backend`.

    Examples
    --------
    >>> import xbnet
    >>> network = Network([xbnet.Linear(10, "tanh"), xbnet.Linear(3)], n_inputs=4, replicas=2, rng=0)
    >>> network.theta.shape
    (2, 83)
    >>> network.predict_proba(np.zeros((5, 4))).shape  # (R, N, C)
    (2, 5, 3)
    """

    compiled = False

    def __init__(
        self,
        layers: Sequence[Layer],
        n_inputs: int,
        *,
        replicas: int = 1,
        backend: str | Backend = "numpy",
        dtype: DTypeLike = "float32",
        rng: Seeds | None = None,
    ):
        self.n_inputs = whole("Network", "n_inputs", n_inputs)
        self.replicas = whole("Network", "replicas", replicas)
        self.backend = get_backend(backend)
        self.dtype = float_type("Network", dtype)
        self._link = "softmax"
        self._bare = copy_layers(layers)
        self.specs, self.state_specs, self.n_outputs = build_layers(self._bare, self.n_inputs)
        expect_network(self.replicas, self.specs, self.dtype, self.backend)
        self.seeds = replica_seeds(rng, self.replicas)
        self.streams = [stream(seed, "dropout") for seed in self.seeds]
        self._allocate()
        theta, state = draw_rows(self.specs, self.state_specs, self.seeds, self.dtype)
        self._theta[...], self._state[...] = self.backend.asarray(theta), self.backend.asarray(state)

    # -- construction ----------------------------------------------------------------------------------------------

    def _allocate(self, grad: Array | None = None) -> None:
        """Make all arrays (but for a given `grad`), and copies of the bare layers that work on them."""
        xp, R = self.backend.xp, self.replicas
        self.layers, self._lock = [copy.copy(layer) for layer in self._bare], Turns()  # for who predicts
        self.n_parameters = sum(spec.size for spec in self.specs)
        self.n_weights = sum(spec.size for spec in self.specs if spec.is_weight)
        self._theta = xp.zeros((R, self.n_parameters), dtype=self.dtype)
        self._grad = xp.zeros((R, self.n_parameters), dtype=self.dtype) if grad is None else grad
        self._state = xp.zeros((R, sum(spec.size for spec in self.state_specs)), dtype=self.dtype)
        self.parameters = carve(self._theta, self.specs)
        self.gradients = carve(self._grad, self.specs)
        self.statistics = carve(self._state, self.state_specs)
        for k, layer in enumerate(self.layers):
            layer.backend, layer.xp, layer.ops, layer.dtype = self.backend, xp, self.backend.ops, self.dtype
            layer.link = self._link
            for spec in layer.parameters():
                setattr(layer, spec.name, self.parameters[f"{k}.{spec.name}"])
                setattr(layer, "d" + spec.name, self.gradients[f"{k}.{spec.name}"])
            for spec in layer.state():
                setattr(layer, spec.name, self.statistics[f"{k}.{spec.name}"])
            for name, value in layer.hyper().items():
                setattr(layer, name, self.per_replica(type(layer).__name__, value)[:, :, None])
            layer.bind(self.streams)
        self._buffers = LayerBuffers(self.layers, self.n_inputs, lambda: Workspace(xp, self.dtype, R))
        self._ready = False
        self._predictor: Predictor | None = None

    def per_replica(self, where: str, value: PerReplica) -> Array:
        """Make a device column (R, 1) of value (a number, or one per replica) for the setting where (its name)."""
        return self.backend.asarray(replica_values(where, value, self.replicas, self.dtype)[:, None], self.dtype)

    @property
    def link(self) -> str:
        """See the class."""
        return self._link

    @link.setter
    def link(self, link: str) -> None:
        self._link, self._predictor = link, None  # which may have recorded what the last layer does for another one
        for layer in self.layers:
            layer.link = link

    @property
    def theta(self) -> Array:
        """(R, P)."""
        return self._theta

    @property
    def grad(self) -> Array:
        """(R, P), overwritten by `backward`."""
        return self._grad

    @property
    def state(self) -> Array:
        """(R, S)."""
        return self._state

    def use(self, B: int) -> int:
        """Point every layer at its buffers for batches of B (>= 1) rows; all layers share their scratch memory.

        A `backward` needs another `forward` after that. The number that this returns changes whenever the buffers
        get other memory: then records made with the old one are void.
        """
        self._ready = False
        return self._buffers.use(B)

    @property
    def output_gradient(self) -> Array:
        """The gradient dlogits (R, B, C) for the last forward's batch: the loss writes it and `backward` reads it."""
        return self._buffers.between()[-1]

    # -- running ---------------------------------------------------------------------------------------------------

    def forward(self, x: Array, *, training: bool = False) -> Array:
        """Compute the logits.

        Parameters
        ----------
        x
            (R or 1, B, I), of this backend and dtype.
        training
            Whether a `backward` follows, and dropout and batch normalization act as in training.

        Returns
        -------
        Array
            (R, B, C), overwritten by the next forward.

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
        if shape[1] != self._buffers.batch:
            self.use(shape[1])
        self._ready = training
        y = x
        for layer in self.layers:
            y = layer.forward(y, training)
        return y

    def backward(self, dlogits: Array | None = None, dx: Array | None = None) -> None:
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
        between = self._buffers.between()
        dy = between[-1] if dlogits is None else dlogits
        for k in range(len(self.layers) - 1, 0, -1):
            self.layers[k].backward(dy, between[k])
            dy = between[k]
        self.layers[0].backward(dy, dx)

    def exclusive(self) -> Turns:
        """A context for whoever runs the network: its buffers serve one thread at a time, so the others wait."""
        return self._lock

    predict_proba = predict_proba
    predict = predict
    chunk_rows = property(rows_at_once)

    def run_rows(self, x: Rows, finish: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        """Apply finish (a function of logits (R, n, O)) to those of host rows x (N, I): (N, ...) or (R, N, ...)."""
        with self.exclusive():
            self._predictor = self._predictor or Predictor(self)
            return self._predictor.run(x, finish)

    # -- stacks ------------------------------------------------------------------------------------------------------

    def select(self, rows: Sequence[int] | np.ndarray, *, successor: bool = False) -> Network:
        """Copy rows (replicas, from 0) to a new network; a successor (True) takes streams and the memory of grad."""
        index = np.asarray(rows)
        if index.ndim != 1 or index.dtype.kind not in "iu" or not set() < {*index.tolist()} <= {*range(self.replicas)}:
            raise ConfigError(f"Network.select: expected replicas in [0, {self.replicas}), got {rows!r}")
        twin = object.__new__(type(self))  # `copy.copy` would go by `__setstate__`, and make all R replicas first
        with self.exclusive():
            vars(twin).update(vars(self), replicas=len(index), seeds=tuple(self.seeds[i] for i in index))
            twin._bare = [layer.select(index) for layer in self._bare]
            twin.streams = [self.streams[i] if successor else twin_stream(self.streams[i]) for i in index]
            twin._allocate(self._grad[: len(index)] if successor else None)
            gather, where = self.backend.ops.gather, self.backend.asarray(index[None], np.intp)
            gather(self.theta, where, twin.theta[None])  # which takes no memory in between
            gather(self.state, where, twin.state[None])
        return twin

    def memory(self) -> list[Any]:
        """The memory of all buffers of now, see `Workspace.memory`."""
        return self._buffers.of_layers.memory() + self._buffers.between_layers.memory()

    def release(self) -> None:
        """Free the buffers, and the arrays that layers keep of a batch; the next forward allocates them again."""
        self._ready, self._predictor = False, None
        self._buffers.release()

    def __getstate__(self) -> dict[str, Any]:
        """For `pickle` and `copy.deepcopy`: settings, random streams, theta and state on the host."""
        kept = {name: vars(self)[name] for name in ("_bare", "n_inputs", "replicas", "dtype", "seeds", "_link")}
        with self.exclusive():
            arrays = {name: self.backend.to_host(getattr(self, name)).copy() for name in ("theta", "state")}
            return kept | arrays | {"backend": self.backend.full_name, "streams": copy.deepcopy(self.streams)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        theta, statistics = state.pop("theta"), state.pop("state")
        self.__dict__.update(state, backend=get_backend(state["backend"]))
        self.specs, self.state_specs, self.n_outputs = build_layers(self._bare, self.n_inputs)
        self._allocate()
        self.theta[...], self.state[...] = self.backend.asarray(theta), self.backend.asarray(statistics)

    describe = describe
    _repr_html_ = to_html

    def __repr__(self) -> str:
        where = f"backend={self.backend.full_name!r}, dtype={self.dtype.name!r}"
        return f"Network({self.layers!r}, n_inputs={self.n_inputs}, replicas={self.replicas}, {where})"
