"""DataFrames whose columns are no plain numbers: the estimators learn a `Schema` of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy.sparse import issparse

from ..backends.arrays import Rows
from ..datasets import Schema
from ..datasets.frame import read_frame
from ..datasets.scaler import SCALINGS, Scaler
from ..datasets.tables import Table, is_table, open_table
from ..datasets.tables.arrow import sparse_columns
from ..datasets.tables.source import need_pyarrow
from ..datasets.tables.values import kind_of, parse
from ..errors import ConfigError
from ..nn.layers import Layer
from ..nn.layers.tables import embed_numbers

if TYPE_CHECKING:
    from .base import XBEstimator


def learn_schema(estimator: XBEstimator, X: Rows, rows: np.ndarray | None) -> tuple[Schema | None, Rows]:
    """The schema of X and the inputs (N, I), float64, that it makes of X; None and X where `schema` wants none.

    Parameters
    ----------
    estimator
        It gets `n_features_in_`, and `feature_names_in_` if X has names.
    X
        A table or an array.
    rows
        Numbers of the rows to learn from; None: all.
    """
    name = type(estimator).__name__
    wanted = estimator.schema
    if not isinstance(wanted, bool) and wanted not in ("auto", *SCALINGS):
        names = "True, False, 'auto', standard, robust, quantile or none"
        raise ConfigError(f"{name}: expected schema as {names}, got {wanted!r}")
    if not wanted or (wanted == "auto" and not _needs_schema(X)):
        return None, X
    named = is_table(X)
    table = open_table(X if named else _arrow(X), name=f"{name}: X")
    frame = read_frame(table)
    schema, places = Schema.of_frame(frame, rows, one_hot=estimator.one_hot)
    inputs = schema.encode_frame(frame, places)
    scaling = wanted if wanted in SCALINGS else "standard"
    scaler = schema.only_scaled(Scaler.fit(inputs if rows is None else inputs[rows], scaling))
    estimator.n_features_in_ = len(table.columns)
    estimator.__dict__.pop("feature_names_in_", None)
    if named:
        estimator.feature_names_in_ = np.array(table.columns, object)
    return schema.scaled(scaler), scaler(inputs, out=inputs)


def number_layers(estimator: XBEstimator, X: Any, rows: np.ndarray | None) -> list[Layer]:
    """The layer that `embed_numbers` asks for, if any; `rows` of the inputs X (N, I) are to learn from, None: all."""
    how, schema = estimator.embed_numbers, estimator.schema_
    where = f"{type(estimator).__name__}: embed_numbers={how!r}"
    if how == "none":
        return []
    if issparse(X):
        raise ConfigError(f"{where}: expected X (N, I) as an array or a table, got a sparse matrix")
    numbers, codes = (range(X.shape[1]), {}) if schema is None else (schema.numbers, schema.codes)
    learned = X if rows is None else X[rows]
    return embed_numbers(how, learned, numbers, codes, where=where, dtype=str(np.dtype(estimator.dtype)))


def encode_rows(estimator: XBEstimator, X: object) -> np.ndarray:
    """The inputs (N, I), float64, that the estimator's schema makes of X: a table, or columns in the order of `fit`."""
    name, schema = type(estimator).__name__, estimator.schema_
    assert schema is not None, "whoever asks has one"
    if is_table(X):
        return schema.encode(open_table(X, name=f"{name}: X"))
    array = np.asarray(X)
    if array.ndim != 2 or array.shape[1] != estimator.n_features_in_:
        raise ConfigError(f"{name}: expected X (N, {estimator.n_features_in_}) as in fit, got {array.shape}")
    names = getattr(estimator, "feature_names_in_", None)
    return schema.encode(_named(array, _default_names(array) if names is None else names))


def _needs_schema(X: object) -> bool:
    """Whether a table has text, dates, or missing values."""
    if not is_table(X):
        return False
    sparse = sparse_columns(X)
    if 0 < len(sparse) == len(cast("Any", X).columns) and all(kind.kind in "biuf" for kind in sparse.values()):
        return False  # scikit-learn makes a sparse matrix of it
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        return False
    table: Table = open_table(X, name="X")
    columns = range(len(table.columns))
    if any(kind_of(table.kind(i)) not in ("number", "boolean") for i in columns):
        return True
    for batch in table.batches(columns):
        for values in batch:
            kind = kind_of(values.type)
            found = None if kind is None else parse(kind, values, ".")
            if found is None or np.isnan(found).any():
                return True
    return False


def _default_names(X: object) -> list[str]:
    """Names as scikit-learn gives them to columns that have none."""
    if issparse(X):
        raise ConfigError("expected X (N, I) as an array or a table for a schema, got a sparse matrix")
    array = np.asarray(X)
    if array.ndim != 2:
        raise ConfigError(f"expected X (N, I) for a schema, got {array.shape}")
    return [f"x{i}" for i in range(array.shape[1])]


def _arrow(X: object) -> Any:
    """An array as a table."""
    return need_pyarrow("XBClassifier: schema=True").table(_named(X, _default_names(X)))


def _named(X: object, names: Any) -> dict[str, np.ndarray]:
    array = np.asarray(X)
    return {str(name): array[:, i] for i, name in enumerate(names)}
