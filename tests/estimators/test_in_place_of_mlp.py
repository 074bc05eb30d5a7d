"""What scikit-learn's own networks do, and whoever puts ours in their places expects: theirs in the same process."""

from functools import partial

import numpy as np
import pytest
from scipy import sparse
from scipy.special import expit, log_expit
from sklearn.datasets import load_breast_cancer, make_classification, make_multilabel_classification
from sklearn.ensemble import VotingClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from xbnet import ConfigError, StackedSearchCV, XBClassifier, XBRegressor
from xbnet.training.sparse import SparseRows

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X, Y = make_classification(200, 8, n_informative=5, n_classes=3, random_state=0)
EXACT = {"dtype": "float64"}
CLOSE = {"rtol": 1e-9, "atol": 1e-12}


def test_small_probabilities_keep_their_digits_and_tie_nowhere():
    x, y = load_breast_cancer(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    settings = {"random_state": 0, "max_iter": 40, "alpha": 0, "learning_rate_init": 0.01}
    ours, theirs = XBClassifier(**settings, **EXACT).fit(x, y), MLPClassifier(**settings).fit(x, y)
    np.testing.assert_allclose(ours.predict_proba(x), theirs.predict_proba(x), rtol=1e-6, atol=1e-10)
    assert roc_auc_score(y, ours.predict_proba(x)[:, 1]) == roc_auc_score(y, theirs.predict_proba(x)[:, 1])
    single = XBClassifier(**settings).fit(x, y)
    for model in (ours, single):
        p, logs = model.predict_proba(x), model.predict_log_proba(x)
        assert p.min() > (0 if model is ours else -1)  # float32 ends at 1e-45
        assert np.isfinite(logs).all()
        z = logs[:, 1] - logs[:, 0]
        np.testing.assert_allclose(p, np.stack([expit(-z), expit(z)], axis=1), rtol=1e-4 if model is single else 1e-12)
        np.testing.assert_allclose(logs, np.stack([log_expit(-z), log_expit(z)], axis=1), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("members", [1, 3])
def test_logarithms_are_those_of_the_probabilities(members):
    for y in (Y, Y > 0, np.stack([Y > 0, Y > 1], axis=1).astype(int)):
        model = XBClassifier((5,), max_iter=5, n_members=members, random_state=0).fit(X, y)
        np.testing.assert_allclose(np.exp(model.predict_log_proba(X)), model.predict_proba(X), rtol=1e-5)


def test_a_class_whose_rows_all_weigh_nothing_stays_a_class():
    w = (Y != 1).astype(float)
    ours = XBClassifier((5,), max_iter=5, random_state=0).fit(X, Y, w)
    theirs = MLPClassifier((5,), max_iter=5, random_state=0).fit(X, Y, w)
    assert ours.classes_.tolist() == theirs.classes_.tolist() == [0, 1, 2]
    assert ours.predict_proba(X).shape == (200, 3)
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    vote = VotingClassifier([("net", XBClassifier(max_iter=50, random_state=0)), ("tree", tree)], voting="soft")
    assert vote.fit(X, Y, sample_weight=w).score(X[Y != 1], Y[Y != 1]) > 0.9


@pytest.mark.parametrize("settings", [{}, {"batch_size": 64}, {"early_stopping": True}, {"shuffle": False}])
def test_the_callers_random_state_moves_on_as_it_does_there(settings):
    ends = []
    for kind in (XBClassifier, MLPClassifier):
        stream = np.random.RandomState(0)
        for _ in range(2):
            kind((4,), max_iter=3, random_state=stream, **settings).fit(X, Y)
        ends.append(stream.randint(1 << 30))
    assert ends[0] == ends[1]


def test_safe_files_of_skops_hold_an_estimator():
    io = pytest.importorskip("skops.io")
    for model in (XBClassifier((5,), max_iter=3, batch_norm=True).fit(X, Y), XBRegressor((5,), max_iter=3).fit(X, Y)):
        data = io.dumps(model)
        again = io.loads(data, trusted=io.get_untrusted_types(data=data))
        np.testing.assert_array_equal(again.predict(X), model.predict(X))


@pytest.mark.parametrize("loss", ["squared_error", "poisson"])
@pytest.mark.parametrize("weighted", [False, True])
def test_losses_of_the_regressor(loss, weighted):
    y = np.random.RandomState(0).poisson(np.exp(X[:, :2] / 3)).astype(float)
    w = np.random.RandomState(1).uniform(0.5, 2, len(X)) if weighted else None
    settings = {"loss": loss, "random_state": 0, "max_iter": 12, "batch_size": 50}
    exact = partial(XBRegressor, **EXACT)
    ours, theirs = (make(hidden_layer_sizes=(6,), **settings).fit(X, y, w) for make in (exact, MLPRegressor))
    if not weighted:  # theirs weighs batches by their rows; and it halves the figure, not the gradient, for two outputs
        halved = y.shape[1] if loss == "squared_error" else 1
        np.testing.assert_allclose(ours.loss_curve_, np.multiply(theirs.loss_curve_, halved), rtol=1e-3)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), **CLOSE)
    np.testing.assert_allclose(XBRegressor.from_sklearn(theirs).predict(X), theirs.predict(X), **CLOSE)
    np.testing.assert_allclose(ours.to_sklearn().predict(X), theirs.predict(X), **CLOSE)


def test_what_poisson_can_not_be_is_refused():
    with pytest.raises(ConfigError, match=r"^XBRegressor: expected y >= 0 for loss='poisson', got -1\.0$"):
        XBRegressor(loss="poisson").fit(X, np.where(Y == 0, -1.0, 1.0))


def test_too_large_a_batch_is_said_to_be_cut():
    line = r"^XBClassifier: expected batch_size <= 200, the number of rows to train on, got 500; all 200 make one batch"
    with pytest.warns(UserWarning, match=line):
        XBClassifier((4,), max_iter=2, batch_size=500).fit(X, Y)


def test_weights_can_be_set():
    ours = XBClassifier((5,), max_iter=3, random_state=0, **EXACT).fit(X, Y)
    theirs = MLPClassifier((5,), max_iter=9, random_state=1).fit(X, Y)
    ours.coefs_, ours.intercepts_ = theirs.coefs_, theirs.intercepts_
    np.testing.assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), **CLOSE)
    with pytest.raises(
        ConfigError, match=r"^XBClassifier\.coefs_: expected arrays of the shapes \[\(8, 5\), \(5, 3\)\]"
    ):
        ours.coefs_ = theirs.coefs_[::-1]


# -- sparse data ------------------------------------------------------------------------------------------------------

THIN = sparse.random(300, 40, 0.1, format="csr", random_state=np.random.RandomState(0))
CLASSES = (THIN.toarray()[:, :20].sum(axis=1) > 1).astype(int)


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array, sparse.csc_array, sparse.coo_matrix])
@pytest.mark.parametrize(
    "settings", [{}, {"batch_size": "full"}, {"early_stopping": True}, {"n_members": 2, "early_stopping": True}]
)
def test_sparse_rows_are_the_dense_ones(form, settings):
    make = {"random_state": 0, "max_iter": 6, "batch_size": 64} | settings
    thin, dense = (
        XBClassifier((5,), **make).fit(form(THIN), CLASSES),
        XBClassifier((5,), **make).fit(THIN.toarray(), CLASSES),
    )
    np.testing.assert_array_equal(thin.network_.theta, dense.network_.theta)
    np.testing.assert_array_equal(thin.predict_proba(form(THIN)), dense.predict_proba(THIN.toarray()))
    np.testing.assert_array_equal(
        thin.predict(form(THIN)[:3]) if form not in (sparse.coo_matrix,) else thin.predict(form(THIN))[:3],
        dense.predict(THIN.toarray()[:3]),
    )
    assert thin.validation_scores_ == dense.validation_scores_


def test_sparse_partial_fit_validation_and_targets():
    for kind, y in ((XBClassifier, CLASSES), (XBRegressor, THIN.toarray()[:, :2])):
        more = {"classes": [0, 1]} if kind is XBClassifier else {}
        thin, dense = (kind((5,), random_state=0).partial_fit(x, y, **more) for x in (THIN, THIN.toarray()))
        np.testing.assert_array_equal(thin.network_.theta, dense.network_.theta)
        thin, dense = (
            kind((5,), random_state=0, max_iter=4).fit(x[:200], y[:200], X_val=x[200:], y_val=y[200:])
            for x in (THIN, THIN.toarray())
        )
        assert thin.validation_scores_ == dense.validation_scores_
    x, y = make_multilabel_classification(80, random_state=0)
    thin, dense = (XBClassifier((5,), random_state=0, max_iter=4).fit(x, t) for t in (sparse.csr_array(y), y))
    np.testing.assert_array_equal(thin.predict(x), dense.predict(x))


def test_sparse_search_is_the_dense_one():
    words = np.array(["good fine", "bad awful", "fine fine good", "awful", "bad bad", "good"] * 20)
    y = np.array([1, 0, 1, 0, 0, 1] * 20)
    pipeline = make_pipeline(CountVectorizer(), XBClassifier((4,), max_iter=5, random_state=0, early_stopping=True))
    grid = {"xbclassifier__alpha": [0, 0.1], "countvectorizer__binary": [True, False]}
    stacked, looped = (kind(pipeline, grid, cv=3).fit(words, y) for kind in (StackedSearchCV, GridSearchCV))
    np.testing.assert_array_equal(stacked.cv_results_["mean_test_score"], looped.cv_results_["mean_test_score"])


def test_the_matrix_never_becomes_dense(monkeypatch):
    """Neither to train on nor to predict for: the most rows that become dense are those of a batch, or of a pass."""
    rows = []
    wide = sparse.random(3000, 3000, 0.001, format="csr", random_state=np.random.RandomState(0))

    class Watched(sparse.csr_matrix):
        def toarray(self, *a, **k):
            rows.append(self.shape[0])
            return super().toarray(*a, **k)

    monkeypatch.setattr(SparseRows, "on", lambda self, backend, dtype: SparseRows(Watched(self.csr), backend))
    model = XBClassifier((4,), max_iter=1, batch_size=100).fit(wide, np.arange(3000) % 2)
    assert len(rows) == 30
    assert max(rows) <= 100
    assert model.predict(wide).shape == (3000,)
