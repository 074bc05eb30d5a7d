"""Stand-ins for scikit-learn's predictors and searches in its own tests; see `swapped`.

A stand-in has the parameters of the class whose place it takes, and trains a small network in float64: by
`MLPClassifier` and `MLPRegressor` where STAND_IN is "sklearn", else by ours, which then do the same.
"""

from __future__ import annotations

import inspect
import os

from sklearn import discriminant_analysis, linear_model, naive_bayes, neighbors, neural_network, svm, tree
from sklearn.base import is_classifier

from xbnet import StackedSearchCV, XBClassifier, XBRegressor

BASES = ("sklearn", "xbnet")
PREDICTORS = {
    name: getattr(module, name)
    for module, names in (
        (
            linear_model,
            "LogisticRegression SGDClassifier RidgeClassifier LinearRegression Ridge SGDRegressor ElasticNet",
        ),
        (svm, "SVC LinearSVC LinearSVR SVR"),
        (tree, "DecisionTreeClassifier DecisionTreeRegressor"),
        (neighbors, "KNeighborsClassifier KNeighborsRegressor"),
        (naive_bayes, "GaussianNB MultinomialNB"),
        (discriminant_analysis, "LinearDiscriminantAnalysis"),
    )
    for name in names.split()
}
SEARCHES = ("GridSearchCV", "RandomizedSearchCV")
SMALL = {"hidden_layer_sizes": (8,), "max_iter": 60, "learning_rate_init": 0.02, "random_state": 0}
OURS = os.environ.get("STAND_IN", "xbnet") == "xbnet"


def stand_in(name, replaced):
    """A class of that name with the parameters of both, of which the network's count."""
    kinds = (XBClassifier, XBRegressor) if OURS else (neural_network.MLPClassifier, neural_network.MLPRegressor)
    base = kinds[0] if is_classifier(replaced()) else kinds[1]
    own = inspect.signature(base.__init__).parameters
    theirs = inspect.signature(replaced.__init__).parameters
    settings = {key: p.default for key, p in own.items() if key != "self"} | SMALL
    settings |= {"dtype": "float64"} if OURS else {}
    more = {key: p.default for key, p in theirs.items() if key not in (*own, "self", "args", "kwargs")}

    def __init__(self, **given):
        unknown = sorted(set(given) - set(settings) - set(more))
        if unknown:
            raise TypeError(f"{name}.__init__() got an unexpected keyword argument {unknown[0]!r}")
        foreign = {"solver", "loss", "learning_rate", "alpha"} & set(theirs)  # other values under the same names
        base.__init__(self)
        for key, value in (settings | more).items():
            value = given.get(key, value)
            if key in foreign and key in settings and not isinstance(value, type(settings[key])):
                value = settings[key]
            if key in ("solver", "loss", "learning_rate", "max_iter") and key in theirs:
                value = settings.get(key, value) if key != "max_iter" or value is None else value
            setattr(self, key, value)

    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
    parameters += [inspect.Parameter(key, keyword, default=value) for key, value in (settings | more).items()]
    __init__.__signature__ = inspect.Signature(parameters)
    return type(name, (base,), {"__init__": __init__, "__module__": __name__})


for _name, _replaced in PREDICTORS.items():
    globals()[_name] = stand_in(_name, _replaced)


class GridSearchCV(StackedSearchCV):
    """By its name, which tests print."""


class RandomizedSearchCV(StackedSearchCV):
    """StackedSearchCV with the arguments of RandomizedSearchCV."""

    param_distributions = None

    def __init__(
        self, estimator, param_distributions, *, n_iter=10, scoring=None, n_jobs=None, refit=True, cv=None, verbose=0,
        random_state=None, error_score=float("nan"), return_train_score=False,
    ):  # fmt: skip
        self.param_distributions = param_distributions
        super().__init__(
            estimator, param_distributions, n_iter=n_iter, scoring=scoring, n_jobs=n_jobs, refit=refit, cv=cv,
            verbose=verbose, random_state=random_state, error_score=error_score, return_train_score=return_train_score,
        )  # fmt: skip
