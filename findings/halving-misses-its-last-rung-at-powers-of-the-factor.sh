#!/usr/bin/env bash
# Finding: scikit-learn's successive halving can leave out its last rung where max_resources is a power of the factor.
#
# scikit-learn 1.9.1 counts the rungs as 1 + floor(log(max_resources // min_resources, factor)), with Python's
# math.log of two arguments, a quotient of two rounded logarithms. log(243, 3) is 4.999999999999999, and so is
# log(1000, 10) below 3. Then HalvingGridSearchCV over 243 candidates with resources from 1 to 243 ends at 81, and
# nobody is ever trained with more; one resource more (244), or the next power (729), brings the rung back. Of the
# powers of 3 up to 6561 only 243 is affected, of those of 10 1000 and 1000000, and none of 2, 4 and 5.
#
# Seen on 2026-11-29:
#   factor 3, max 81: rungs 1 3 9 27 81
#   factor 3, max 243: rungs 1 3 9 27 81
#   factor 3, max 244: rungs 1 3 9 27 81 243
#   factor 3, max 729: rungs 1 3 9 27 81 243 729
#   factor 10, max 1000: rungs 1 10 100
#   factor 10, max 1001: rungs 1 10 100 1000
# Exits with 1 if the behaviour changes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q scikit-learn==1.9.1 numpy==2.4.6
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import HalvingGridSearchCV


class Constant(ClassifierMixin, BaseEstimator):
    def __init__(self, setting=0, budget=1):
        self.setting, self.budget = setting, budget

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


def rungs(factor, most):
    search = HalvingGridSearchCV(
        Constant(), {"setting": list(range(most))}, factor=factor, resource="budget", min_resources=1,
        max_resources=most, cv=2, refit=False,
    )
    found = search.fit(np.arange(20.0)[:, None], np.arange(20) % 2).n_resources_
    print(f"factor {factor}, max {most}: rungs", *found, flush=True)
    return found[-1]


last = [rungs(*case) for case in [(3, 81), (3, 243), (3, 244), (3, 729), (10, 1000), (10, 1001)]]
sys.exit(last != [81, 81, 243, 729, 100, 1000])
PY
