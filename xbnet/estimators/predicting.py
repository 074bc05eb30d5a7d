"""Methods of a fitted estimator: predict, be scored, show its weights, go to a file."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse
from sklearn.base import is_classifier
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted, validate_data

from ..backends.arrays import Rows
from ..datasets import Scaler
from ..errors import ConfigError
from ..history import History
from ..io.models import save
from ..io.spread import member_values, spread
from ..nn.losses import Loss
from ..nn.network import Network
from ..nn.outputs import LINKS
from .namespace import back_to, check_namespace, to_numpy
from .settings import Settings
from .tables import encode_rows
from .together import Place

FEWEST_ROWS = 32
"""So many are predicted at least."""


class Predicting(Settings):
    """The part of an estimator that needs a trained `network_`."""

    history_: History
    _network: Network | Place
    _task: str
    n_outputs_: int
    _flags: bool
    _flat: bool

    @property
    def network_(self) -> Network:
        """The trained network: of a search's stack, it becomes single when it is asked for."""
        found = self._network
        if isinstance(found, Place):
            found = self._network = found.network()
        return found

    @network_.setter
    def network_(self, network: Network | Place) -> None:
        self._network = network

    def __getstate__(self) -> dict[str, Any]:
        if "_network" in vars(self):
            self._network = self.network_  # without those that it was trained beside
        return super().__getstate__()

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.array_api_support = True
        tags.input_tags.sparse = True
        return tags

    @abstractmethod
    def _loss(self) -> Loss:
        """The loss object."""

    @abstractmethod
    def _predictions(self, decisions: np.ndarray) -> np.ndarray:
        """Return the result of `predict`, from the network's decisions (N,) or (N, O)."""

    @abstractmethod
    def _score_of(self, y: np.ndarray, predicted: np.ndarray, w: np.ndarray | None) -> float:
        """Return the result of `score`."""

    def _now(self) -> Self:
        """The estimator as it is at this moment, whole: another thread may fit it again meanwhile."""
        now = object.__new__(type(self))
        now.__dict__ = self.__dict__.copy()
        return now

    def _run(self, finish: Callable[[np.ndarray], np.ndarray], X: Rows, method: str) -> np.ndarray:
        """``finish(outputs)`` for the rows of X (N, I): (N, ...), or (R, N, ...) for several members.

        A few rows are followed by rows of zeros: BLAS would hand them to another routine, which rounds differently,
        and a row would not get the same answer alone as among others.
        """
        rows, n = self._rows(X, method)
        found = self._network.run_rows(rows, finish)
        return found[:, :n] if self._network.replicas > 1 else found[:n]

    def _rows(self, X: Rows, method: str) -> tuple[Any, int]:
        """The inputs of X, and how many of these rows are its own."""
        plain = self._plain_rows(X)
        if plain is not None:
            return plain, len(plain)
        check_is_fitted(self)
        check_namespace(self, X, method)
        if getattr(self, "schema_", None) is None:
            rows: Any = validate_data(self, to_numpy(X), reset=False, dtype=self._network.dtype, accept_sparse="csr")
        else:
            rows = encode_rows(self, to_numpy(X))
        n = rows.shape[0]
        if n < FEWEST_ROWS:
            rows = np.pad(rows.toarray() if issparse(rows) else rows, ((0, FEWEST_ROWS - n), (0, 0)))
        return rows, n

    def _plain_rows(self, X: Rows) -> np.ndarray | None:
        """What scikit-learn's checks would make of an array of finite numbers, in a tenth of their time; else None."""
        known = vars(self)
        if type(X) is not np.ndarray or X.ndim != 2 or X.dtype.kind != "f" or len(X) < FEWEST_ROWS:
            return None
        if "_network" not in known or known.get("schema_") is not None or "feature_names_in_" in known:
            return None
        if X.shape[1] != known.get("n_features_in_"):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            rows = X.astype(self._network.dtype, copy=False)
            return rows if np.isfinite(rows.sum()) else None  # a sum may overflow where all are finite

    def predict_std(self, X: Rows) -> np.ndarray:
        """How far the members lie apart: the standard deviation of what they say, in the shape of the mean.

        Parameters
        ----------
        X
            Rows (N, I).

        Returns
        -------
        array
            Of a classifier's probabilities (N, C), of a regressor's values (N,) or (N, O).

        Raises
        ------
        ConfigError
            There is one member.
        """
        now = self._now()
        rows, n = now._rows(X, "predict_std")
        values = member_values(now.network_, rows)[:, :n]
        scale = getattr(now, "_target_scale", None)
        found = spread(values) * (1.0 if scale is None else scale[1])
        if is_classifier(self):
            one = now.n_outputs_ == 1 and not now._flags  # a probability and 1 less it lie as far apart
            return back_to(np.repeat(found, 2, axis=1) if one else found, X)
        return back_to(found[:, 0] if now._flat else found, X)

    def _predict(self, X: Rows) -> np.ndarray:
        """Return the result of `predict`, on the host."""
        check_is_fitted(self)
        if self._network.replicas > 1:
            values = self._run(LINKS[self._network.link][0], X, "predict").mean(axis=0)
            return self._predictions(LINKS[self.network_.link][1](values))
        return self._predictions(self._run(LINKS[self._network.link][2], X, "predict"))  # needs no probabilities

    def _score_members(self, y: np.ndarray, values: np.ndarray, w: np.ndarray | None) -> float:
        """The score of all members together by the link's values (R, N, O)."""
        link = LINKS[self._loss().links[self._task]]
        return self._score_of(y, self._predictions(link[1](values.mean(axis=0))), w)

    def save(self, path: str | Path, *, preparation: Scaler | None = None) -> None:
        """Write the network to a file for `xbnet.load`, `xbnet predict` and `xbnet export`; see `xbnet.save`.

        Classes, history, and `schema_` or `feature_names_in_` go along. For the estimator itself there is `pickle`.

        Parameters
        ----------
        path
            The file, e.g. "model.safetensors".
        preparation
            The scaler that was applied to X before, e.g. ``Scaler(scaler.mean_, scaler.scale_)`` of a `StandardScaler`.
        """
        from .convert import for_a_file, schema_for_a_file

        network, classes = for_a_file(self)
        schema = schema_for_a_file(self, network, classes)
        if schema is not None and preparation is not None:
            raise ConfigError(f"{type(self).__name__}.save: expected no preparation, for its schema scales")
        about: dict[str, Any] = {"classes": classes, "preparation": preparation}
        about["history"] = self.history_ if len(self.history_) else None
        if schema is None:
            about["features"] = getattr(self, "feature_names_in_", None)
        save(network, path, schema=schema, **about)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """W (I, O) of every linear layer; (R, I, O) for several members."""
        return self._blocks("W")

    @coefs_.setter
    def coefs_(self, values: Sequence[np.ndarray]) -> None:
        self._set_blocks("W", "coefs_", self.coefs_, values)

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """B (O,) of every linear layer; (R, O) for several members."""
        return [b[..., 0, :] for b in self._blocks("b")]

    @intercepts_.setter
    def intercepts_(self, values: Sequence[np.ndarray]) -> None:
        self._set_blocks("b", "intercepts_", self.intercepts_, values)

    def _set_blocks(self, name: str, what: str, before: list[np.ndarray], values: Sequence[np.ndarray]) -> None:
        """Write arrays of the same shapes as `before` over the linear layers' blocks."""
        values = [np.asarray(value) for value in values]
        shapes = [value.shape for value in before]
        if [value.shape for value in values] != shapes:
            raise ConfigError(
                f"{type(self).__name__}.{what}: expected arrays of the shapes {shapes}, got "
                f"{[value.shape for value in values]}"
            )
        blocks = [v for k, v in self.network_.parameters.items() if k.split(".")[1] == name]
        for block, value in zip(blocks, values, strict=True):
            block[...] = self.network_.backend.asarray(value.reshape(block.shape), block.dtype)

    def _blocks(self, name: str) -> list[np.ndarray]:
        check_is_fitted(self, "network_")
        net = self.network_
        found = [net.backend.to_host(v) for k, v in net.parameters.items() if k.split(".")[1] == name]
        return [v[0] for v in found] if net.replicas == 1 else found
