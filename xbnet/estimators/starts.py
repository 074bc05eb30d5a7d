"""What the fits of a search on the same rows begin with alike: checked, learned and drawn once for all of them."""

from __future__ import annotations

import hashlib
import warnings
from collections import OrderedDict
from collections.abc import Hashable
from contextlib import suppress
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backends.arrays import ArrayLike, Rows
from .buckets import PER_REPLICA, by_value
from .build import finds_rate, optimizer_of

if TYPE_CHECKING:
    from .base import XBEstimator

MOST_STARTS = 64
"""So many are kept, the last ones used: one per fold, and for as many preparations as take turns."""

LATER = ("max_iter", "verbose")
"""Parameters that have no effect before training."""


class Start:
    """A fit before it trains. Its network and its random streams are those of many: whoever trains alone draws anew.

    Attributes
    ----------
    key
        Equal for fits that begin alike: the same rows, and no parameters that differ but `PER_REPLICA` and `LATER`.
    rows
        X, y, weights and validation part that it trains on, as `XBEstimator._begin` returns them.
    encoded
        The same as the loss takes them, see `meeting.Task`; None as long as nobody has asked.
    """

    def __init__(self, key: Hashable, now: XBEstimator, X: np.ndarray, y: np.ndarray, w: np.ndarray | None = None):
        before = vars(now).copy()
        self.key = key
        self.encoded: Any = None
        rows, targets, weights, val = now._begin(X, y, w)
        # A step before it may write into the user's array later (`StandardScaler(copy=False)`).
        self.rows = *(own(a, (X, y, w)) for a in (rows, targets, weights)), val
        self._learned = {name: value for name, value in vars(now).items() if before.get(name, before) is not value}

    def give(self, e: XBEstimator) -> tuple[Any, Any, Any, Any]:
        """Put an estimator where the first one was, and return `rows`."""
        optimizer_of(e)  # which refuses what makes no sense
        e.__dict__.update(self._learned, _shared=self)
        return self.rows


def own(array: Any, given: tuple[Any, ...]) -> Any:
    """The array, copied if it is one of those `given`."""
    return array.copy() if any(np.may_share_memory(array, one) for one in given if array is not None) else array


class Starts:
    """The last starts of a search.

    Parameters
    ----------
    most
        So many are kept.
    """

    def __init__(self, most: int = MOST_STARTS):
        self._most = most
        self._known: OrderedDict[Any, Start | None] = OrderedDict()

    def of(self, now: XBEstimator, X: Rows, y: ArrayLike, w: ArrayLike | None) -> Start | None:
        """The start of an estimator that was never fitted, on rows as the user gave them; None: it has to begin alone.

        That is so where the rows aren't plain arrays, where it draws from a stream that others share, where its class
        is another's, which may begin by what is no parameter, and where something is to be warned of or refused,
        which each says by itself.
        """
        given = [X, y] if w is None else [X, y, w]
        arrays = [a for a in given if type(a) is np.ndarray and a.dtype.kind in "biufU"]
        alike = len(arrays) == len(given) and isinstance(now.random_state, Integral) and now._stacks()
        alike = alike and type(now).__module__.startswith(__package__ or "")
        if not alike or finds_rate(now) or hasattr(now, "n_features_in_"):
            return None
        settings = {k: v for k, v in now.get_params(deep=False).items() if k not in (*PER_REPLICA, *LATER)}
        digest = hashlib.blake2b(digest_size=32)
        for array in arrays:
            digest.update(np.ascontiguousarray(array).data.cast("B") if array.size else b"")
        shapes = tuple((a.shape, a.dtype.str) for a in arrays)
        key = type(now), by_value(settings), now.dropout > 0, shapes, digest.digest()
        if key not in self._known:
            start = None
            with warnings.catch_warnings(record=True) as said, suppress(Exception):
                warnings.simplefilter("always")
                start = Start(key, now._now(), *arrays)
            self._known[key] = None if said else start
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        self._known.move_to_end(key)
        return self._known[key]
