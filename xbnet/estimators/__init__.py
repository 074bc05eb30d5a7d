"""Estimators for scikit-learn (extra ``sklearn``): `XBClassifier` and `XBRegressor`."""

from .classifier import XBClassifier
from .regressor import XBRegressor

__all__ = ["XBClassifier", "XBRegressor"]
