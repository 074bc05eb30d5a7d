"""Others on the same table: scikit-learn, and RealMLP and TabM as pytabkit has them.

All settings are the rivals' defaults; scikit-learn's networks stop early. Who can't take missing numbers gets medians
and an indicator, who can't take text gets one-hot categories.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import TransformedTargetRegressor, make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from .clocks import Found
from .own import fitted

NUMBERS = make_column_selector(dtype_include="number")
TEXT = make_column_selector(dtype_exclude="number")


def scaled_numbers() -> Any:
    return make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=5, sparse_output=False), TEXT),
    )


def codes() -> Any:
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": np.nan, "encoded_missing_value": np.nan}
    return make_column_transformer(("passthrough", NUMBERS), (OrdinalEncoder(**unknown), TEXT))


def filled() -> Any:
    """A DataFrame still, whose numbers are there; pytabkit takes text as categories, and missing text as one more."""
    fill = SimpleImputer(strategy="median", add_indicator=True)
    text = SimpleImputer(strategy="constant", fill_value="(missing)")
    return make_column_transformer((fill, NUMBERS), (text, TEXT), verbose_feature_names_out=False).set_output(
        transform="pandas"
    )


def linear(classify: bool) -> Any:
    if classify:
        return make_pipeline(scaled_numbers(), LogisticRegression(max_iter=1000))
    return TransformedTargetRegressor(make_pipeline(scaled_numbers(), RidgeCV()), transformer=StandardScaler())


def mlp(classify: bool) -> Any:
    if classify:
        return make_pipeline(scaled_numbers(), MLPClassifier(early_stopping=True, random_state=0))
    network = MLPRegressor(early_stopping=True, random_state=0)
    return TransformedTargetRegressor(make_pipeline(scaled_numbers(), network), transformer=StandardScaler())


def trees(classify: bool) -> Any:
    kind = HistGradientBoostingClassifier if classify else HistGradientBoostingRegressor
    return make_pipeline(codes(), kind(random_state=0))


def realmlp(classify: bool) -> Any:
    import pytabkit

    kind = pytabkit.RealMLP_TD_Classifier if classify else pytabkit.RealMLP_TD_Regressor
    return make_pipeline(filled(), kind(random_state=0, device="cpu", n_threads=1))


def realmlp_log_loss(classify: bool) -> Any:
    """As TabArena sets it where log loss counts: the best epoch by log loss, and no label smoothing."""
    import pytabkit

    if not classify:
        return realmlp(classify)
    settings = {"val_metric_name": "cross_entropy", "use_ls": False}
    return make_pipeline(
        filled(), pytabkit.RealMLP_TD_Classifier(random_state=0, device="cpu", n_threads=1, **settings)
    )


def tabm(classify: bool) -> Any:
    import pytabkit

    kind = pytabkit.TabM_D_Classifier if classify else pytabkit.TabM_D_Regressor
    return make_pipeline(filled(), kind(random_state=0, device="cpu", n_threads=1))


def runs(made: Callable[[bool], Any]) -> Callable[[pd.DataFrame, pd.DataFrame, str], Found]:
    def run(train: pd.DataFrame, held_back: pd.DataFrame, target: str) -> Found:
        return fitted(made(train[target].dtype.kind not in "if"), train, held_back, target)

    return run


RIVALS = {
    "linear": runs(linear), "mlp": runs(mlp), "trees": runs(trees), "realmlp": runs(realmlp),
    "realmlp-ce": runs(realmlp_log_loss), "tabm": runs(tabm),
}  # fmt: skip
NEEDS = {"realmlp": "pytabkit", "realmlp-ce": "pytabkit", "tabm": "pytabkit"}
"""Rivals that come from a package which is not always there."""
