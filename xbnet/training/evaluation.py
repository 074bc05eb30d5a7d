"""`evaluate`: loss and accuracy (of a regression: R2 and errors) of every replica on any data."""

from __future__ import annotations

import numpy as np

from ..backends.arrays import ArrayLike
from ..errors import ConfigError, DataError, expect_shape
from ..nn.losses import Loss, get_loss
from ..nn.network import Network
from .batches import InOrder
from .samples import check_weights
from .streaming import place
from .validation import Evaluation, means


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
