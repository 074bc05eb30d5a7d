"""Arrays of other libraries at the estimators' rim: in as NumPy, out as what the caller brought."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import sklearn

from ..datasets.tables.source import need_pyarrow

KNOWN = ("cupy", "dpnp", "torch", "array_api_strict", "jax", "jaxlib")


def library(array: Any) -> str:
    """The name of the array library that made `array`, "numpy" for anything else (lists, DataFrames)."""
    name = type(array).__module__.partition(".")[0]
    return name if name in KNOWN else "numpy"


def to_numpy(array: Any) -> Any:
    """An array of another library as a NumPy array, a stream of batches as a table; anything else as it is."""
    stream = hasattr(array, "__arrow_c_stream__") and hasattr(array, "schema") and not hasattr(array, "columns")
    if stream:  # it can be read only once
        return need_pyarrow("X, a stream of batches").table(array)
    name = library(array)
    if name == "numpy":
        return array
    if name == "cupy":
        return array.get()
    if name == "dpnp":
        return array.asnumpy()
    if name == "torch":
        return array.detach().cpu().numpy()
    return np.asarray(array) if name in ("jax", "jaxlib") else np.from_dlpack(array)


def check_namespace(estimator: Any, X: object, method: str) -> None:
    """Where scikit-learn's array API dispatch is on: results follow X, and X must follow what `fit` got.

    Raises
    ------
    ValueError
        X is of another library.
    """
    fitted = getattr(estimator, "_namespace", None)
    if fitted not in (None, library(X)) and sklearn.get_config()["array_api_dispatch"]:
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace as those passed to "
            f"fit(), {fitted}, got {library(X)}"
        )


def back_to(result: np.ndarray, like: Any) -> Any:
    """`result` as an array of the library and on the device of `like`; NumPy where it can't hold such values."""
    name = library(like)
    if name == "numpy" or result.dtype.kind not in "biuf":
        return result
    xp = sys.modules[name]  # it has made `like`
    if name == "cupy":
        with like.device:
            return xp.asarray(result)
    if name == "dpnp":
        return xp.asarray(result, sycl_queue=like.sycl_queue)
    if name == "torch":
        return xp.from_numpy(np.ascontiguousarray(result)).to(like.device)
    return like.__array_namespace__().asarray(result, device=like.device)
