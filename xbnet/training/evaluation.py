"""Loss and accuracy (of a regression: R2 and errors) of every replica on data that it does not train on."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import reduce

import numpy as np

from ..backends.arrays import Array, ArrayLike
from ..backends.replay import Replays
from ..errors import ConfigError, DataError, expect_shape
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from .batches import Batch, InOrder
from .samples import Samples, check_weights
from .streaming import place

FINITE_AT_ONCE = 1 << 14
"""Weights of all replicas together that are asked at once whether they are finite."""


def means(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Loss and accuracy (R,) from sums (S, R, 3) of w * value, w * hit, w; NaN where all weights are 0."""
    total = sums.sum(axis=0)
    return total[:, 0] / total[:, 2], total[:, 1] / total[:, 2]


def not_finite(theta: Array) -> Array:
    """(R,) NaN where some of a replica's weights are not finite, else 0; some columns at a time, to save memory."""
    # 0 times infinity is NaN. For `isfinite` and `all` CuPy would compile a kernel from headers of CUDA's toolkit.
    width = max(1, FINITE_AT_ONCE // len(theta))
    parts = [(theta[:, i : i + width] * 0.0).sum(axis=1) for i in range(0, max(1, theta.shape[1]), width)]
    return reduce(operator.add, parts)


def spreads(loss: Loss, samples: Samples, replicas: int) -> dict[str, np.ndarray]:
    """The loss (R,) of the best constant answer to each replica's own rows of a regression, by part; else NaN."""
    held = samples.train if samples.train_rows is not None else samples.val  # what is validated on
    found = {
        "train": _spreads(loss, samples.task, samples.train.y, samples.sample_weight, samples.train_rows, replicas)
    }
    if samples.validated and held is not None:
        found["val"] = _spreads(loss, samples.task, held.y, samples.val_weight, samples.val_rows, replicas)
    return found


def _spreads(
    loss: Loss,
    task: str,
    y: np.ndarray,
    sample_weight: ArrayLike | None,
    rows: Sequence[np.ndarray] | None,
    replicas: int,
) -> np.ndarray:
    if task != "regression":
        return np.full(replicas, np.nan)

    def spread(some: slice | np.ndarray) -> float:
        w = None if sample_weight is None else np.asarray(sample_weight, float)[some]
        return loss.spread(y[some], w) if w is None or w.any() else np.nan

    with np.errstate(over="ignore", invalid="ignore"):
        if rows is None:
            return np.full(replicas, spread(slice(None)))
        found = {id(some): spread(some) for some in {id(some): some for some in rows}.values()}  # folds are shared
        return np.array([found[id(some)] for some in rows])


class Evaluation:
    """A network's loss on batches, again and again.

    How samples are cut into batches decides how sums round. So it must not depend on R: `fit` validates in batches
    of the training's size (which needs no memory beyond the training's), `evaluate` in batches of a fixed size.

    Parameters
    ----------
    network
        R replicas.
    loss
        Bound to it.
    batches
        Batches of the samples.
    """

    def __init__(self, network: Network, loss: Loss, batches: InOrder):
        # The loss lies in a dict of its own: `vars(self)` as its place would be a cycle, and a narrowed stack's buffers
        # would stay until Python looks for cycles.
        self.network, self._parts, self.batches = network, {"loss": loss}, batches
        places = [*((network.layers, k) for k in range(len(network.layers))), (self._parts, "loss")]
        self._replays = Replays(places, network.backend.specialized if batches.stay else {})
        self._sums = network.backend.xp.zeros((network.replicas, 3, 1), dtype=network.dtype)

    @property
    def loss(self) -> Loss:
        """The loss that is bound to the network."""
        return self._parts["loss"]

    def run(self, sums: Array, keep: Callable[[slice, np.ndarray], object] | None = None) -> None:
        """Write each batch's sums to sums (S, R, 3, 1), on the device.

        `keep` is called with which rows a batch holds and their outputs (R, B, O) on the host, which waits for the
        device.
        """
        network, replays = self.network, self._replays
        with np.errstate(over="ignore", invalid="ignore"):  # seen: a product raises the flag, and all is finite
            for s, batch in enumerate(self.batches):
                n = batch.x.shape[1]
                place = self._sums if replays.active else sums[s]  # records write to one place
                logits = replays.run(n, network.use(n), self._forward, batch, place)
                if place is self._sums:
                    network.backend.xp.copyto(sums[s], place)
                if keep is not None:
                    start = s * self.batches.batch_size
                    keep(slice(start, start + n), network.backend.to_host(logits))

    def _forward(self, batch: Batch, sums: Array) -> Array:
        x, y, w = batch
        logits = self.network.forward(x)
        self._parts["loss"](logits, y, None, w, sums=sums)
        return logits


class Errors:
    """R2, RMSE and MAE of R replicas, gathered over batches in float64.

    Parameters
    ----------
    y
        Targets (N, O).
    sample_weight
        (N,) or None.
    replicas
        R.
    """

    def __init__(self, y: np.ndarray, sample_weight: np.ndarray | None, replicas: int):
        self.y = y
        self.w = None if sample_weight is None else np.asarray(sample_weight, float)
        self.squares, self.sizes = np.zeros((replicas, y.shape[1])), np.zeros((replicas, y.shape[1]))

    def add(self, rows: slice, predicted: np.ndarray) -> None:
        """Note the answers (R, B, O) to some rows."""
        errors = predicted.astype(float) - self.y[rows]
        w = np.ones(errors.shape[1]) if self.w is None else self.w[rows]
        self.sizes += np.einsum("rbo,b->ro", np.abs(errors), w)
        self.squares += np.einsum("rbo,rbo,b->ro", errors, errors, w)

    def figures(self) -> dict[str, np.ndarray]:
        """Figures (R, O) of all rows. R2 is 1 or 0 for targets that are all the same, as in scikit-learn."""
        total = len(self.y) if self.w is None else self.w.sum()
        y = np.asarray(self.y, float)
        spread = np.average(np.square(y - np.average(y, axis=0, weights=self.w)), axis=0, weights=self.w)
        with np.errstate(divide="ignore", invalid="ignore"):
            mse = self.squares / total
            r2 = np.where(spread > 0, 1 - mse / spread, np.where(mse > 0, 0.0, 1.0))
        return {"r2": r2, "rmse": np.sqrt(mse), "mae": self.sizes / total}


def evaluate(
    network: Network,
    loss: str | Loss,
    x: ArrayLike,
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    device_memory: int | str | None = None,
    per_target: bool = False,
) -> dict[str, np.ndarray]:
    """Mean loss of every replica on host data, and how good its answers are.

    Parameters
    ----------
    network
        R networks.
    loss
        A loss or its name; class weights "balanced" are those of y.
    x, y
        (N, I), and (N,) labels or (N, C) targets.
    sample_weight
        (N,) or None.
    device_memory
        See `fit`.
    per_target
        Give the errors of a regression as (R, O), target by target, instead of their means.

    Returns
    -------
    dict
        Figures (R,) in float64: "loss" and "accuracy"; of a regression "loss", "r2", "rmse" and "mae". Over several
        targets these three are means, as in scikit-learn.

    Examples
    --------
    >>> import xbnet
    >>> network = xbnet.Network([xbnet.Linear(3)], n_inputs=4, replicas=2, rng=0)
    >>> found = evaluate(network, "cross_entropy", np.zeros((6, 4)), [0, 1, 2, 0, 1, 2])
    >>> found["loss"].round(4)  # log 3
    array([1.0986, 1.0986])
    """
    task, x, y, sample_weight = check_samples(network, get_loss(loss), x, y, sample_weight)
    balanced = get_loss(loss).balanced_by(y, network.n_outputs)
    errors = Errors(y, sample_weight, network.replicas) if task == "regression" else None
    sums = _sums(network, balanced, task, (x, y, sample_weight), device_memory, errors)
    with np.errstate(invalid="ignore"):
        mean, accuracy = means(sums)
    if errors is None:
        return {"loss": mean, "accuracy": accuracy}
    found = errors.figures()
    return {"loss": mean} | (found if per_target else {name: values.mean(axis=1) for name, values in found.items()})


def _sums(
    network: Network,
    loss: Loss,
    task: str,
    samples: tuple[np.ndarray, np.ndarray, np.ndarray | None],
    device_memory: int | str | None,
    errors: Errors | None,
) -> np.ndarray:
    """Sums (S, R, 3) of all samples on the host; their errors are noted, too."""
    bound, rows = loss.bind(network, task), network.chunk_rows
    (part,) = place("evaluate", network.backend, network.dtype, [samples], device_memory, least=rows)
    batches = InOrder(network.backend, part, min(rows, part.n))
    sums = network.backend.xp.zeros((batches.steps, network.replicas, 3, 1), dtype=network.dtype)
    with network.exclusive():
        Evaluation(network, bound, batches).run(sums, None if errors is None else errors.add)
    return network.backend.to_host(sums)[..., 0].astype(float)


def check_samples(
    network: Network, loss: Loss, x: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[str, np.ndarray, np.ndarray, np.ndarray | None]:
    """The task that targets `y` and `loss` are for, and x, y, sample_weight as arrays. Unlike in training, no class
    has to occur.
    """
    if not isinstance(network, Network):
        raise ConfigError(f"evaluate: expected a Network, got {type(network).__name__}")
    for name, array in (("x", x), ("y", y)):
        if hasattr(array, "toarray"):
            raise DataError(f"evaluate: expected {name} as a dense array, got a sparse one; pass {name}.toarray()")
    x, y = np.asarray(x), np.asarray(y)
    expect_shape("evaluate", "x", x, N=None, I=network.n_inputs)
    for name, array in (("x", x), ("y", y)):
        if array.dtype.kind not in "fiub" or not np.all(np.isfinite(array)):
            raise DataError(f"evaluate: expected {name} to hold finite numbers")
    if not len(x):
        raise DataError("evaluate: expected at least one sample, got none")
    if y.ndim == 1 and y.dtype.kind in "iub":
        task, C, y = "classification", network.n_outputs, y.astype(np.intp)
        expect_shape("evaluate", "y", y, N=len(x))
        if y.min() < 0 or y.max() >= C:
            raise DataError(f"evaluate: expected labels in [0, {C}), got {y.min()} to {y.max()}")
    else:
        task, y = "multilabel" if "multilabel" in loss.links else "regression", y[:, None] if y.ndim == 1 else y
        expect_shape("evaluate", "y", y, N=len(x), C=network.n_outputs)
    if sample_weight is not None:
        sample_weight = check_weights("evaluate", sample_weight, len(x))
    return task, x, y, sample_weight
