"""What scikit-learn's own network has not: continuation, validation, weights, ensembles, own parts."""

import copy
import pickle
import re

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_wine, make_classification, make_regression
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import xbnet
from xbnet import (
    Activation,
    BackendError,
    BatchNorm,
    ConfigError,
    LayerNorm,
    Linear,
    Loss,
    SoftmaxCrossEntropy,
    XBClassifier,
    XBRegressor,
)
from xbnet.estimators.namespace import to_numpy
from xbnet.nn.activations import ACTIVATIONS

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, Y = make_classification(200, 8, n_informative=5, n_classes=3, random_state=0)
X2, Y2 = make_regression(150, 6, n_targets=2, random_state=0)
Y2 = Y2 / 100

KINDS = {
    "plain": {},
    "float64": {"dtype": "float64"},
    "sgd": {"solver": "sgd", "clip_norm": 0.5},
    "ensemble": {"n_members": 3, "dropout": 0.2, "batch_norm": True, "residual": 1},
    "schedule": {"schedule": "warmup:epochs=3,then=plateau", "class_weight": {0: 2.0, 1: 1.0, 2: 0.5}},
}


def assert_same(a, b):
    np.testing.assert_array_equal(a.network_.theta, b.network_.theta)
    np.testing.assert_array_equal(a.network_.state, b.network_.state)
    assert a.loss_curve_ == b.loss_curve_
    assert a.n_iter_ == b.n_iter_


@pytest.mark.parametrize("kind", KINDS)
def test_fit_is_partial_fit_repeated_and_saved_between(kind, tmp_path):
    settings = {"max_iter": 8, "n_iter_no_change": np.inf, "random_state": 4, "batch_size": 30, **KINDS[kind]}
    whole = XBClassifier(**settings).fit(X, Y)
    parts = XBClassifier(**settings)
    for epoch in range(8):
        parts.partial_fit(X, Y, classes=[0, 1, 2])
        if epoch % 3 == 0:
            parts = pickle.loads(pickle.dumps(parts))
        elif epoch % 3 == 1:
            joblib.dump(parts, tmp_path / "m.joblib")
            parts = joblib.load(tmp_path / "m.joblib")
    assert_same(whole, parts)
    if kind != "schedule":  # whose length is max_iter
        warm = XBClassifier(**{**settings, "max_iter": 4, "warm_start": True}).fit(X, Y).fit(X, Y)
        assert_same(whole, warm)


def test_regressor_continues_too():
    whole = XBRegressor(max_iter=6, n_iter_no_change=np.inf, random_state=0).fit(X2, Y2)
    parts = XBRegressor(max_iter=6, random_state=0)
    for _ in range(6):
        parts = copy.deepcopy(parts.partial_fit(X2, Y2))
    assert_same(whole, parts)
    assert parts.predict(X2).shape == (150, 2)


def test_members_are_the_networks_alone():
    settings = {"max_iter": 5, "hidden_layer_sizes": (7,), "dtype": "float64", "batch_size": 40}
    stack = XBClassifier(n_members=3, random_state=1, **settings).fit(X, Y)
    for i, seed in enumerate(stack.member_seeds_):
        alone = XBClassifier(random_state=int(seed), **settings).fit(X, Y)
        np.testing.assert_allclose(stack.network_.theta[i], alone.network_.theta[0], rtol=0, atol=1e-13)
    average = np.mean([stack.network_.select([i]).predict_proba(X) for i in range(3)], axis=0)
    np.testing.assert_allclose(stack.predict_proba(X), average, rtol=0, atol=1e-15)


def test_own_validation_set_stops_and_is_recorded():
    settings = {"max_iter": 60, "early_stopping": True, "n_iter_no_change": 4, "random_state": 0}
    model = XBClassifier(learning_rate_init=0.01, **settings)
    model.fit(X[:120], Y[:120], X_val=X[120:], y_val=Y[120:], sample_weight_val=np.ones(80))
    assert model.n_iter_ < 60
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_
    assert model.score(X[120:], Y[120:]) == pytest.approx(max(model.validation_scores_))  # the best weights are kept
    watched = XBClassifier(max_iter=5, random_state=0).fit(X, Y, X_val=X, y_val=Y)
    assert len(watched.validation_scores_) == 5
    assert watched.validation_scores_[-1] == pytest.approx(watched.score(X, Y))
    values = XBRegressor(max_iter=5, random_state=0).fit(X2, Y2[:, 0], X_val=X2, y_val=Y2[:, 0])
    assert values.validation_scores_[-1] == pytest.approx(values.score(X2, Y2[:, 0]), abs=1e-5)


def test_class_weight_is_sample_weight():
    weights = {0: 5.0, 1: 1.0, 2: 0.5}
    settings = {"max_iter": 4, "random_state": 0}
    by_class = XBClassifier(class_weight=weights, **settings).fit(X, Y)
    by_row = XBClassifier(**settings).fit(X, Y, sample_weight=[weights[y] for y in Y])
    assert_same(by_class, by_row)
    rare = np.r_[np.flatnonzero(Y == 0)[:6], np.flatnonzero(Y == 1)]
    plain, balanced = (XBClassifier(class_weight=c, random_state=0).fit(X[rare], Y[rare]) for c in (None, "balanced"))
    assert (balanced.predict(X) == 0).sum() > (plain.predict(X) == 0).sum()


def test_rows_of_weight_0_are_as_good_as_absent():
    w = (np.arange(200) % 4 != 0).astype(float)
    settings = {"max_iter": 3, "random_state": 0, "dtype": "float64"}
    weighted = XBClassifier(**settings).fit(X, Y, sample_weight=w)
    absent = XBClassifier(**settings).fit(X[w > 0], Y[w > 0])
    np.testing.assert_allclose(weighted.network_.theta, absent.network_.theta, rtol=0, atol=1e-14)


@pytest.mark.parametrize("members", [1, 2])
def test_a_batch_whose_classes_weigh_nothing_changes_nothing(members):
    settings = {"solver": "sgd", "momentum": 0, "batch_size": 1, "shuffle": False, "alpha": 0.1, "random_state": 0}
    weighted = XBClassifier(class_weight={0: 0, 1: 1, 2: 3}, max_iter=1, n_members=members, **settings).fit(X, Y)
    some = XBClassifier(class_weight={1: 1, 2: 3}, n_members=members, **settings)
    some.partial_fit(X[Y > 0], Y[Y > 0], classes=[0, 1, 2])
    np.testing.assert_array_equal(weighted.network_.theta, some.network_.theta)


class Focal(SoftmaxCrossEntropy):
    """A loss of a user's own: half the cross-entropy."""

    def _evaluate(self, logits, labels, dlogits):
        super()._evaluate(logits, labels, dlogits)
        self.xp.multiply(self.values_column, 0.5, out=self.values_column)
        if dlogits is not None:
            self.xp.multiply(dlogits, 0.5, out=dlogits)


def test_own_activation_loss_layer_and_optimizer():
    own = Activation("mine", ACTIVATIONS["tanh"].forward, ACTIVATIONS["tanh"].backward)
    settings = {"max_iter": 30, "random_state": 0}
    model = XBClassifier(
        (16, LayerNorm(), BatchNorm(), Linear(8, "gelu", initializer="he")),
        activation=own,
        loss=Focal(),
        solver=xbnet.AdamW(lr=0.01),
        **settings,
    ).fit(X, Y)
    assert model.score(X, Y) > 0.8
    assert pickle.loads(pickle.dumps(model)).score(X, Y) == model.score(X, Y)
    twin = clone(model).fit(X, Y)
    np.testing.assert_array_equal(twin.network_.theta, model.network_.theta)
    assert isinstance(model.loss, Loss)


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy"])
@pytest.mark.parametrize("classes", [2, 3])
def test_losses_by_name_give_probabilities(loss, classes):
    y = np.minimum(Y, classes - 1)
    model = XBClassifier(loss=loss, max_iter=20, random_state=0).fit(X, y)
    p = model.predict_proba(X)
    assert p.shape == (200, classes)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(p.argmax(axis=1), model.predict(X))


def test_squared_error_gives_no_probabilities():
    model = XBClassifier(loss="mse", max_iter=20, random_state=0).fit(X, Y)
    assert model.score(X, Y) > 0.5
    with pytest.raises(ConfigError, match=r"^XBClassifier: a squared error gives scores, not probabilities; "):
        model.predict_proba(X)


# -- scikit-learn's tools ----------------------------------------------------------------------------------------------


def test_pipeline_and_grid_search():
    Xw, yw = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), XBClassifier(max_iter=40, learning_rate_init=0.01, random_state=0))
    grid = {"xbclassifier__alpha": [1e-4, 1e-1], "xbclassifier__hidden_layer_sizes": [(8,), (8, 8)]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(Xw, yw)
    assert search.best_score_ > 0.9
    assert cross_val_score(pipeline, Xw, yw, cv=3).min() > 0.85


def test_grid_search_in_processes():
    search = GridSearchCV(XBClassifier(max_iter=3, random_state=0), {"alpha": [1e-4, 1e-2]}, cv=2, n_jobs=2)
    alone = GridSearchCV(XBClassifier(max_iter=3, random_state=0), {"alpha": [1e-4, 1e-2]}, cv=2)
    np.testing.assert_array_equal(
        search.fit(X, Y).cv_results_["mean_test_score"], alone.fit(X, Y).cv_results_["mean_test_score"]
    )


def test_calibration():
    Xb, yb = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), XBClassifier(max_iter=20, random_state=0))
    calibrated = CalibratedClassifierCV(model, cv=3).fit(Xb, yb)
    assert calibrated.score(Xb, yb) > 0.95


def test_data_frames_keep_their_names():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[f"f{i}" for i in range(8)])
    model = XBClassifier(max_iter=3, random_state=0).fit(frame, pd.Series(Y).map({0: "a", 1: "b", 2: "c"}))
    assert model.feature_names_in_.tolist() == list(frame.columns)
    assert set(model.predict(frame)) <= {"a", "b", "c"}
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame.rename(columns={"f0": "z"}))


@pytest.mark.parametrize("name", ["torch", "array_api_strict", "dpnp", "cupy"])
def test_results_come_back_in_the_callers_namespace(name):
    if name in ("dpnp", "cupy"):
        try:
            library = xbnet.get_backend(name).xp
        except BackendError as error:
            pytest.skip(str(error))
    else:
        library = pytest.importorskip(name)
    x, y = library.asarray(X), library.asarray(Y)
    part = {"X_val": x, "y_val": y, "sample_weight_val": library.asarray(np.ones(len(X)))}
    model = XBClassifier(max_iter=3, random_state=0).fit(x, y, **part)
    for result in (model.predict(x), model.predict_proba(x), model.predict_log_proba(x)):
        assert type(result) is type(x)
    expected = XBClassifier(max_iter=3, random_state=0).fit(X, Y, X_val=X, y_val=Y)
    np.testing.assert_array_equal(to_numpy(model.predict_proba(x)), expected.predict_proba(X))
    assert model.validation_scores_ == expected.validation_scores_
    values = XBRegressor(max_iter=3, random_state=0).fit(x, y)
    assert type(values.predict(x)) is type(x)


# -- mistakes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"alpha": -1}, "XBClassifier: expected alpha in [0, inf), got -1"),
        ({"dtype": "int8"}, "XBClassifier: expected dtype 'float32' or 'float64', got 'int8'"),
        ({"max_iter": 0}, "XBClassifier: expected max_iter to be a whole number >= 1, got 0"),
        ({"n_members": 1.5}, "XBClassifier: expected n_members to be a whole number >= 1, got 1.5"),
        ({"momentum": 1}, "XBClassifier: expected momentum in [0, 1), got 1"),
        ({"batch_size": "all"}, "XBClassifier: expected batch_size 'auto', 'full' or a whole number >= 1, got 'all'"),
        ({"n_iter_no_change": 0}, "XBClassifier: expected n_iter_no_change to be a whole number >= 1, got 0"),
        (
            {"hidden_layer_sizes": (5, 0)},
            "XBClassifier: hidden_layer_sizes must be > 0 (whole numbers or layers), got [5, 0]",
        ),
        ({"early_stopping": True, "validation_fraction": 0.001}, None),
        ({"early_stopping": "no"}, "XBClassifier: expected early_stopping to be True, False or 'loss', got 'no'"),
        ({"warm_start": 1}, "XBClassifier: expected warm_start to be True or False, got 1"),
    ],
)
def test_wrong_parameters_are_one_line(settings, line):
    with pytest.raises(ValueError) as caught:
        XBClassifier(**settings).fit(X, Y)
    if line is not None:
        assert str(caught.value) == line


def test_wrong_calls_are_one_line():
    model = XBClassifier(max_iter=2)

    def complaint(call, *args, **settings):
        with pytest.raises(ConfigError) as caught:
            call(*args, **settings)
        return str(caught.value)

    assert complaint(model.fit, X, Y, X_val=X) == "XBClassifier.fit: expected X_val and y_val together, or neither"
    line = "XBClassifier.partial_fit: classes must be passed on the first call to partial_fit"
    assert complaint(model.partial_fit, X, Y) == line
    model.partial_fit(X, Y, classes=[0, 1, 2])
    line = "XBClassifier.partial_fit: expected classes [0 1 2], as before, got [0, 1]"
    assert complaint(model.partial_fit, X, Y, classes=[0, 1]) == line
    line = "XBClassifier: `y` has classes not in `self.classes_`: [7]"
    assert complaint(model.partial_fit, X, np.full(200, 7)) == line
    early = XBClassifier(early_stopping=True)
    line = "XBClassifier: partial_fit does not support early_stopping=True"
    assert complaint(early.partial_fit, X, Y, classes=[0, 1, 2]) == line
    balanced = XBClassifier(class_weight="balanced")
    assert complaint(balanced.partial_fit, X, Y, classes=[0, 1, 2]) == (
        "XBClassifier.partial_fit: class_weight='balanced' needs all of y at once; give the weights as {class: weight}"
    )


def test_max_iter_warns():
    with pytest.warns(ConvergenceWarning, match=re.escape("XBClassifier: 2 epochs (max_iter) are over")):
        XBClassifier(max_iter=2).fit(X, Y)


def test_verbose_prints_a_line_per_epoch(capsys):
    model = XBClassifier(max_iter=2, verbose=True, random_state=0).fit(X, Y)
    lines = [f"Iteration {i + 1}, loss = {loss:.8f}" for i, loss in enumerate(model.loss_curve_)]
    assert capsys.readouterr().out.splitlines() == lines
