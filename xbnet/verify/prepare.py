"""From what a user hands in to what is tested; every check of arguments is here."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, ShapeError, expect_shape
from ..nn.layers import Layer
from ..nn.losses import Loss
from ..nn.network import Network
from ..parsing import is_whole, whole
from .functionals import Cost


def seed_of(rng: Any) -> int:
    """A seed that can be printed, and handed in again."""
    if rng is None:
        return int(np.random.SeedSequence().generate_state(1)[0])
    if isinstance(rng, np.random.Generator):
        return int(rng.integers(2**32))
    if not is_whole(rng) or rng < 0:
        raise ConfigError(f"rng: expected an integer >= 0, a Generator or None, got {rng!r}")
    return int(rng)


def steps_of(where: str, e0: float, steps: int) -> np.ndarray:
    """E = e0 * 0.5^i."""
    if not e0 > 0 or not np.isfinite(e0):
        raise ConfigError(f"{where}: expected e0 > 0, got {e0!r}")
    return e0 * 0.5 ** np.arange(whole(where, "steps", steps, least=8, most=1000))


def check_settings(where: str, tolerance: float, jitter: float) -> None:
    """Check the settings of both tests."""
    if not 0 < tolerance < 0.5:
        raise ConfigError(f"{where}: expected tolerance in (0, 0.5), got {tolerance!r}")
    if not 0 <= jitter < np.inf:
        raise ConfigError(f"{where}: expected jitter >= 0, got {jitter!r}")


def rows_of(where: str, x: Any) -> np.ndarray:
    """X as float64 (R or 1, B, I)."""
    try:
        rows = np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        raise DataError(f"{where}: expected x to be numbers (N, I), got {type(x).__name__}") from None
    if rows.ndim == 2:
        rows = rows[None]
    if rows.ndim != 3 or 0 in rows.shape:
        raise ShapeError(
            f"{where}: expected x (N, I) or (R, B, I), got {rows.shape}; is it one sample? x[None] is a row"
        )
    if not np.isfinite(rows).all():
        raise DataError(f"{where}: expected finite numbers in x, got NaN or infinity")
    return rows


def cost_of(
    where: str, network: Network, loss: Loss, x: Any, y: Any, sample_weight: Any, task: str | None
) -> tuple[np.ndarray, Cost]:
    """X (R or 1, B, I) and the cost, with shapes, labels and weights checked."""
    rows = rows_of(where, x)
    R, B = network.replicas, rows.shape[1]
    leading = (1, R) if R > 1 else 1
    expect_shape(where, "x", rows, R=leading, B=B, I=network.n_inputs)
    targets = _targets(where, np.asarray(y), np.ndim(x))
    C = network.n_outputs
    if targets.dtype.kind in "iu":
        expect_shape(where, "y", targets, "", R=leading, B=B)
        if targets.min() < 0 or targets.max() >= C:
            raise DataError(f"{where}: expected labels in [0, C={C}), got {targets.min()} to {targets.max()}")
    else:
        expect_shape(where, "y", targets, "", R=leading, B=B, C=C)
        if not np.isfinite(targets).all():
            raise DataError(f"{where}: expected finite numbers in y, got NaN or infinity")
    if task is None:
        task = "classification" if targets.ndim == 2 else "regression" if "regression" in loss.links else "multilabel"
    if targets.ndim == 3 and loss.class_weight is not None:
        raise ConfigError(f"{where}: class_weight needs integer labels, got targets; use sample_weight")
    loss.bind(network, task)  # raises where they don't fit
    return rows, Cost(loss, targets, _weights(where, sample_weight, leading, B), task)


def _targets(where: str, y: np.ndarray, dimensions_of_x: int) -> np.ndarray:
    """Integers (R or 1, B), or float64 (R or 1, B, C)."""
    rank = 3 if dimensions_of_x == 3 and y.ndim >= 2 else 2
    y = y if rank == 3 else y[None]
    if y.dtype.kind in "iub" and y.ndim == 2:
        return y.astype(np.intp)
    if y.dtype.kind not in "iubf":
        raise DataError(f"{where}: expected y to be integer labels or numbers, got {y.dtype}")
    return (y[..., None] if y.ndim == 2 else y).astype(float)


def _weights(where: str, sample_weight: Any, leading: Any, B: int) -> np.ndarray | None:
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=float)
    weights = weights[None] if weights.ndim == 1 else weights
    expect_shape(where, "sample_weight", weights, R=leading, B=B)
    if not np.all(weights >= 0) or not np.all(weights.sum(axis=1) > 0):
        raise ConfigError(f"{where}: expected sample_weight >= 0 with at least one > 0")
    return weights


def theta_of(where: str, network: Network) -> np.ndarray:
    """Host theta (R, P) in float64, checked to be finite."""
    theta = network.backend.to_host(network.theta).astype(float)
    if not np.isfinite(theta).all():
        raise DataError(f"{where}: expected a network with finite parameters, got NaN or infinity; has it diverged?")
    return theta


def network_of(
    where: str, layer: Layer, x: np.ndarray, replicas: int | None, backend: Any, dtype: Any, seed: int
) -> Network:
    """A network of one layer, with the parameters that the layer has, if it has any yet."""
    if not isinstance(layer, Layer):
        raise ConfigError(f"{where}: expected a layer such as xbnet.Linear(3), got {layer!r}")
    width = x.shape[2]
    trained = {}
    if hasattr(layer, "backend"):  # it is a network's
        backend, dtype, width = layer.backend, layer.dtype, layer.n_inputs
        trained = {spec.name: getattr(layer, spec.name) for spec in layer.parameters()}
        blocks = [*trained.values(), *(getattr(layer, name) for name in layer.hyper())]
        replicas = next((len(block) for block in blocks), replicas)
    if replicas is None:
        replicas = len(x) if len(x) > 1 else 2
    expect_shape(where, "x", x, R=(1, replicas) if replicas > 1 else 1, B=x.shape[1], I=width)
    network = Network([layer], width, replicas=replicas, backend=backend, dtype=dtype, rng=seed)
    for name, block in trained.items():
        network.parameters[f"0.{name}"][...] = block
    return network


def brief(network: Network) -> str:
    """A network in one line."""
    n = len(network.layers)
    layers = ", ".join(map(repr, network.layers[:4])) + (f", ... ({n})" if n > 4 else "")
    return f"{network.n_inputs} -> [{layers}], R={network.replicas}, {network.dtype.name}, {network.backend.name}"


def penalty_text(l2: Any, l1: Any) -> str:
    """Return the part of a title that names the penalties."""
    return "".join(f", {name}={value}" for name, value in (("l2", l2), ("l1", l1)) if np.any(np.asarray(value)))
