"""scikit-learn's own checks of estimators: all of them in float64, all but one in float32."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from xbnet import XBClassifier, XBRegressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

REASON = (
    "the check compares with a relative tolerance of 1e-7, and float32 has a precision of 1.2e-7: a weighted row "
    "and a repeated one are summed in another order; in float64 it passes"
)
ROUNDING = {f"check_sample_weight_equivalence_on_{kind}_data": REASON for kind in ("dense", "sparse")}


def expected(estimator):
    return ROUNDING if estimator.dtype == "float32" else {}


# Twenty epochs are enough for all that is checked; the default would take four times as long.
ESTIMATORS = [
    kind(dtype=dtype, max_iter=20) for dtype in ("float32", "float64") for kind in (XBClassifier, XBRegressor)
]


@parametrize_with_checks(ESTIMATORS, expected_failed_checks=expected, xfail_strict=True)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


ARRAY_API = """
import warnings
from sklearn.utils.estimator_checks import estimator_checks_generator
from xbnet import XBClassifier, XBRegressor
warnings.simplefilter("ignore")
for kind in (XBClassifier, XBRegressor):
    for estimator, check in estimator_checks_generator(kind(max_iter=3)):
        if "array_api" in check.func.__name__:
            try:
                check(estimator)
                print("passed", kind.__name__, check.func.__name__, sorted(map(str, check.keywords.values())))
            except BaseException as error:
                if type(error).__name__ not in ("SkipTest", "Skipped"):
                    raise
                print("skipped", error)
"""


def test_checks_of_array_api_inputs():
    """In a process of its own: SciPy reads the variable when it is imported."""
    pytest.importorskip("array_api_strict")
    environment = {**os.environ, "SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ARRAY_API], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    passed = [line.split()[1:3] for line in done.stdout.splitlines() if line.startswith("passed")]
    for kind in ("XBClassifier", "XBRegressor"):
        checks = [check for name, check in passed if name == kind]
        mixed = {"check_array_api_mixed_inputs"} if find_spec("torch") else set()  # it mixes two libraries
        assert set(checks) == {"check_array_api_input", "check_array_api_same_namespace"} | mixed
