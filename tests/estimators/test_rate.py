"""`learning_rate_init="auto"`: the rate that is found is the one it trains at, and finding it changes nothing else."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.model_selection import GridSearchCV

from tests.support.errors import refuses
from xbnet import Adam, ConfigError, StackedSearchCV, XBClassifier, XBRegressor
from xbnet.estimators import rate

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = make_classification(80, 6, random_state=0)
NET = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(rate, "RATES", 9)
    monkeypatch.setattr(rate, "STEPS", 20)


@pytest.mark.parametrize("more", [{}, {"solver": "sgd"}, {"early_stopping": True}, {"n_members": 2}])
def test_it_trains_as_if_the_rate_had_been_given(more):
    found = XBClassifier(**NET, **more, learning_rate_init="auto").fit(X, Y)
    assert found.learning_rate_ == found.rates_.lr
    assert len(found.rates_.rates) == 9
    given = XBClassifier(**NET, **more, learning_rate_init=found.learning_rate_).fit(X, Y)
    np.testing.assert_array_equal(found.network_.theta, given.network_.theta)
    assert clone(found).learning_rate_init == "auto"


def test_sparse_rows_weights_and_regressions():
    w = 1.0 + (Y == 1)
    dense = XBClassifier(**NET, learning_rate_init="auto").fit(X, Y, w)
    sparse = XBClassifier(**NET, learning_rate_init="auto").fit(csr_matrix(X), Y, w)
    assert dense.learning_rate_ == sparse.learning_rate_
    assert dense.to_sklearn().learning_rate_init == dense.learning_rate_
    other = XBRegressor(**NET, learning_rate_init="auto").fit(X, 100 * X[:, 0])
    kept = other.learning_rate_
    assert other.fit(X, X[:, 0]).learning_rate_ != kept  # found anew
    assert other.partial_fit(X, X[:, 1]).learning_rate_ == other.rates_.lr


def test_in_a_search_each_fold_has_its_own():
    grid = {"learning_rate_init": ["auto", 0.01]}
    ours, theirs = (kind(XBClassifier(**NET), grid, cv=2).fit(X, Y) for kind in (StackedSearchCV, GridSearchCV))
    for name in ("split0_test_score", "split1_test_score"):
        np.testing.assert_array_equal(ours.cv_results_[name], theirs.cv_results_[name])


def test_what_is_no_rate():
    with pytest.raises(
        ConfigError, match="^XBClassifier: expected solver by its name with learning_rate_init='auto', "
    ):
        XBClassifier(**NET, learning_rate_init="auto", solver=Adam()).fit(X, Y)
    with refuses(ConfigError, r"XBClassifier: expected learning_rate_init in [0, inf), got 'fast'"):
        XBClassifier(**NET, learning_rate_init="fast").fit(X, Y)
