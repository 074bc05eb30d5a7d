"""k networks that share one body of weights (Wen et al. 2020, Gorishniy et al. 2024; arXiv 2002.06715 and 2410.24210).

The members are side by side in the units: an array (R, B, k I) holds what member j has in the columns j I to
(j + 1) I, and seen as (R, B k, I) it has a row per sample and member. So a shared product is one product of B k rows,
whose gradient sums over samples and members alike, and a vector per member is one row (1, k I).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ....backends.arrays import Array
from ....errors import ConfigError
from ....parsing import whole
from ...activations import Activation, get_activation
from ...initializers import Initializer, get_initializer, ones
from ...parameters import ParameterSpec
from ..base import BATCH, Layer, OnnxGraph, Shape, TorchModules


def signs(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """-1 or 1, each with probability one half."""
    return 2.0 * rng.integers(0, 2, shape) - 1.0


STARTS: dict[str, Callable[..., np.ndarray]] = {"signs": signs, "normal": get_initializer("normal:1.0"), "ones": ones}
ADAPTERS = ("none", "outputs", "both")


def one_of(where: str, name: str, value: object, names: Sequence[str]) -> str:
    """A word, checked."""
    if value not in names:
        raise ConfigError(f"{where}: expected {name} {', '.join(names[:-1])} or {names[-1]}, got {value!r}")
    return str(value)


def shared_width(layer: Layer, k: int, n_inputs: int) -> int:
    """The share of each of a layer's k members in `n_inputs`."""
    if n_inputs % k:
        raise ConfigError(
            f"{type(layer).__name__}: expected inputs of {k} members side by side, got {n_inputs}, which is not a "
            f"multiple of {k}; put Members({k}) in front"
        )
    return n_inputs // k


class Members(Layer):
    """Hand the inputs to k members, each of which scales them by a vector of its own: y_j = r_j * x.

    With the members side by side in y (B, k I)::

        dr_j = sum of dy_j * x over the batch        dx = sum of r_j * dy_j over the members

    Parameters
    ----------
    members
        k >= 1.
    start
        How r (k vectors) starts: "signs" (-1 or 1 at random), "normal" (mean 0, standard deviation 1), or "ones", with
        which the members differ by what follows alone.

    Raises
    ------
    ConfigError
        `members` is no whole number >= 1, or there is no such start.

    Examples
    --------
    >>> import xbnet
    >>> layers = [Members(3), xbnet.SharedLinear(8, "relu", members=3), xbnet.MemberOutputs(2, members=3)]
    >>> network = xbnet.Network(layers, n_inputs=4, rng=0)
    >>> network.n_outputs, network.predict_proba([[1.0, 2.0, 3.0, 4.0]]).shape
    (2, (1, 2))
    """

    replayable = True

    def __init__(self, members: int, *, start: str = "signs"):
        self.members = whole("Members", "members", members)
        self.start = one_of("Members", "start", start, [*STARTS])

    def build(self, n_inputs: int) -> None:
        self.n_inputs, self.n_outputs = n_inputs, self.members * n_inputs

    def parameters(self) -> tuple[ParameterSpec, ...]:
        return (ParameterSpec("r", (1, self.n_outputs), STARTS[self.start]),)

    def buffers(self) -> dict[str, Shape]:
        return {"y": (BATCH, self.n_outputs)}

    def scratch(self) -> dict[str, Shape]:
        return {"work": (BATCH, self.n_outputs)}

    def _of_member(self, array: Array, j: int) -> Array:
        return array[:, :, j * self.n_inputs : (j + 1) * self.n_inputs]

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        for j in range(self.members):
            self.xp.multiply(x, self._of_member(self.r, j), out=self._of_member(self.y, j))
        return self.y

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp = self.xp
        for j in range(self.members):
            xp.multiply(self._of_member(dy, j), self.x, out=self._of_member(self.work, j))
        self.ops.batch_sum(self.work, self.dr)
        if dx is None:
            return
        xp.multiply(dy, self.r, out=dy)
        xp.copyto(dx, self._of_member(dy, 0))
        for j in range(1, self.members):
            xp.add(dx, self._of_member(dy, j), out=dx)

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {"": cls(3, start="normal"), "of one": cls(1)}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        r = graph.constant(self.r[0].reshape(self.members, self.n_inputs))
        y = graph.add("Mul", graph.add("Unsqueeze", x, graph.constant(np.array([1]), np.int64)), r)
        return graph.add("Reshape", y, graph.constant(np.array([-1, self.n_outputs]), np.int64))

    def to_torch(self, modules: TorchModules) -> None:
        modules.add(f"Members({self.members}, {self.n_inputs})", r=self.r[0].reshape(self.members, self.n_inputs))


class SharedLinear(Layer):
    """One W for k members, which differ by vectors: y_j = s(q_j * ((r_j * x_j) W) + b_j).

    With u_j = r_j * x_j, p_j = u_j W, z_j = q_j * p_j + b_j, dz_j = dy_j * s'(z_j), dp_j = q_j * dz_j and
    du_j = dp_j W^T, sums going over the batch::

        dW = sum over j of u_j^T dp_j    dr_j = sum of du_j * x_j    dq_j = sum of dz_j * p_j    db_j = sum of dz_j
        dx_j = r_j * du_j

    Parameters
    ----------
    n_outputs
        O >= 1 of each member.
    activation
        s: a name, an `Activation`, or None for the identity.
    members
        k >= 1, as many as in the layers before it.
    adapters
        Which vectors each member has of its own: "both" (r, q and b; Wen et al.'s), "outputs" (q and b, which will do
        after `Members`), or "none" (one b for all, the hidden layers of TabM-mini). r and q start at 1, b at 0.
    initializer
        How W (I, O) starts, see `Linear`.

    Raises
    ------
    ConfigError
        A number is no whole number >= 1, there is no such activation or choice of adapters, or the inputs are not those
        of k members.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([Members(3), SharedLinear(8, "tanh", members=3)], n_inputs=4, rng=0)
    >>> {name: block.shape for name, block in network.parameters.items()}
    {'1.W': (1, 4, 8), '0.r': (1, 1, 12), '1.q': (1, 1, 24), '1.b': (1, 1, 24)}
    """

    replayable = True

    def __init__(
        self,
        n_outputs: int,
        activation: str | Activation | None = None,
        *,
        members: int,
        adapters: str = "outputs",
        initializer: str | Initializer | None = None,
    ):
        self.wide = whole("SharedLinear", "n_outputs", n_outputs)
        self.members = whole("SharedLinear", "members", members)
        self.adapters = one_of("SharedLinear", "adapters", adapters, ADAPTERS)
        self.activation = None if activation in (None, "identity") else get_activation(activation)
        self.initializer = initializer
        default = self.activation.initializer if self.activation else "glorot"
        self._draw = get_initializer(initializer or default)
        self.n_outputs = self.members * self.wide

    def config(self) -> dict[str, object]:
        return {**super().config(), "n_outputs": self.wide}

    def build(self, n_inputs: int) -> None:
        self.n_inputs, self.narrow = n_inputs, shared_width(self, self.members, n_inputs)

    def parameters(self) -> tuple[ParameterSpec, ...]:
        found = [ParameterSpec("W", (self.narrow, self.wide), self._draw, is_weight=True)]
        if self.adapters == "both":
            found.append(ParameterSpec("r", (1, self.n_inputs), ones))
        if self.adapters != "none":
            found.append(ParameterSpec("q", (1, self.n_outputs), ones))
        return (*found, ParameterSpec("b", (1, self.wide if self.adapters == "none" else self.n_outputs)))

    def buffers(self) -> dict[str, Shape]:
        found: dict[str, Shape] = {"y": (BATCH, self.n_outputs)}
        if self.adapters == "both":
            found["u"] = (BATCH, self.n_inputs)
        if self.adapters != "none":
            found["p"] = (BATCH, self.n_outputs)
        return found | ({"z": (BATCH, self.n_outputs)} if self.activation else {})

    def scratch(self) -> dict[str, Shape]:
        out, into = (BATCH, self.n_outputs), (BATCH, self.n_inputs)
        return {"work0": out, "work1": out, **({"work2": into, "work3": into} if self.adapters == "both" else {})}

    def _rows(self, array: Array, width: int) -> Array:
        """An array (R, B, k n) with a row per sample and member, (R, B k, n)."""
        return array.reshape(array.shape[0], array.shape[1] * self.members, width)

    def _whole(self, array: Array) -> Array:
        """In the form in which b is added: by rows of members where all share it."""
        return self._rows(array, self.wide) if self.adapters == "none" else array

    def forward(self, x: Array, training: bool) -> Array:
        self.x = x
        u = self.xp.multiply(x, self.r, out=self.u) if self.adapters == "both" else x
        self._u = self._rows(u, self.narrow)
        z = self.z if self.activation else self.y
        product = z if self.adapters == "none" else self.p
        self.ops.bmm(self._u, self.W, self._rows(product, self.wide))
        if self.adapters != "none":
            self.xp.multiply(self.p, self.q, out=z)
        work = (self._whole(self.work0), self._whole(self.work1))
        self.ops.bias_activation(self.activation, self._whole(z), self.b, self._whole(self.y), work)
        return self.y

    def backward(self, dy: Array, dx: Array | None) -> None:
        xp, ops = self.xp, self.ops
        z = self._whole(self.z) if self.activation else None
        work = (self._whole(self.work0), self._whole(self.work1))
        ops.activation_gradient(self.activation, self._whole(dy), z, self._whole(self.y), self.db, work)
        if self.adapters != "none":
            xp.multiply(dy, self.p, out=self.work0)
            ops.batch_sum(self.work0, self.dq)
            xp.multiply(dy, self.q, out=dy)
        dp = self._rows(dy, self.wide)
        ops.bmm_tn(self._u, dp, self.dW)
        if self.adapters == "both":
            du = self.work2
            ops.bmm_nt(dp, self.W, self._rows(du, self.narrow))
            xp.multiply(du, self.x, out=self.work3)
            ops.batch_sum(self.work3, self.dr)
            if dx is not None:
                xp.multiply(du, self.r, out=dx)
        elif dx is not None:
            ops.bmm_nt(dp, self.W, self._rows(dx, self.narrow))

    @classmethod
    def examples(cls) -> dict[str, Layer]:
        return {name: cls(3, "tanh", members=2, adapters=name) for name in ADAPTERS}

    def to_onnx(self, graph: OnnxGraph, x: str) -> str:
        k, shape = self.members, [-1, self.members, self.narrow]
        x = graph.add("Reshape", x, graph.constant(np.array(shape), np.int64))
        if self.adapters == "both":
            x = graph.add("Mul", x, graph.constant(self.r[0].reshape(k, self.narrow)))
        z = graph.add("MatMul", x, graph.constant(self.W[0]))
        if self.adapters != "none":
            z = graph.add("Mul", z, graph.constant(self.q[0].reshape(k, self.wide)))
        z = graph.add("Add", z, graph.constant(self.b[0].reshape(-1, self.wide)))
        z = graph.add("Reshape", z, graph.constant(np.array([-1, self.n_outputs]), np.int64))
        return graph.activation(self.activation, z)

    def to_torch(self, modules: TorchModules) -> None:
        k = self.members
        ones_of = {"r": self.narrow, "q": self.wide}
        vectors = {
            name: getattr(self, name)[0].reshape(k, width) if hasattr(self, name) else np.ones((k, width), self.dtype)
            for name, width in ones_of.items()
        }
        rows = 1 if self.adapters == "none" else k
        module = f"SharedLinear({k}, {self.narrow}, {self.wide}, {rows})"
        modules.add(module, W=self.W[0], b=self.b[0].reshape(rows, self.wide), **vectors)
        if self.activation is not None:
            modules.add(modules.activation(self.activation))
