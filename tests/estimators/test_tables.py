"""DataFrames with text, dates and missing values: the estimators learn a schema of them, and keep it."""

import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests.support.errors import refuses
from tests.support.tables import made_table
from xbnet import ConfigError, DataError, StackedSearchCV, XBClassifier, XBRegressor, load_model
from xbnet.estimators.tables import learn_schema

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FAST = {"hidden_layer_sizes": (8,), "max_iter": 20, "learning_rate_init": 0.02, "random_state": 0}


@pytest.fixture(scope="module")
def table():
    """A DataFrame with numbers, text, truth values and dates; classes and prices."""
    frame = pd.DataFrame(made_table())
    frame["age"] = pd.to_numeric(frame["age"], errors="coerce")
    frame["city"] = frame["city"].replace("", None)
    frame["member"] = frame["member"] == "True"
    frame["joined"] = pd.to_datetime(frame["joined"])
    for name in ("label", "size (cm)", "price"):
        frame[name] = frame[name].astype(float)
    return frame.drop(columns=["kind", "price"]), frame["kind"], frame["price"]


@pytest.mark.parametrize("scaling", [True, "robust", "quantile", "none"])
@pytest.mark.parametrize("rows", [None, np.arange(0, 40, 2)], ids=["all rows", "some"])
def test_trains_on_the_inputs_that_its_schema_makes(table, scaling, rows):
    schema, inputs = learn_schema(XBClassifier(schema=scaling, one_hot=3), table[0], rows)
    np.testing.assert_array_equal(inputs, schema.encode(table[0]))


@pytest.mark.parametrize("targets", ["three", "two", "values", "several", "counts"])
def test_learns_predicts_and_goes_to_a_file(targets, table, tmp_path):
    X, kind, price = table
    y = {
        "three": kind,
        "two": (kind == "1").map({True: "yes", False: "no"}),
        "values": price,
        "several": np.column_stack([price, -price / 1e6]),
        "counts": (price / price.max()).rename("n"),
    }[targets]
    more = {"loss": "poisson", "max_iter": 60} if targets == "counts" else {}
    kind_of = XBClassifier if targets in ("three", "two") else XBRegressor
    estimator = kind_of(**FAST | more).fit(X, y)
    assert [column.kind for column in estimator.schema_.columns[:5]] == [
        "number",
        "number",
        "category",
        "boolean",
        "date",
    ]
    assert estimator.n_features_in_ == 7
    assert estimator.feature_names_in_.tolist() == X.columns.tolist()
    assert estimator.score(X, y) > 0.3
    turned = X[X.columns[::-1]].assign(more="x")
    np.testing.assert_array_equal(estimator.predict(turned), estimator.predict(X))
    estimator.save(tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    expected = estimator.predict_proba(X) if hasattr(estimator, "predict_proba") else estimator.predict(X)
    np.testing.assert_allclose(model.predict_proba(X), np.reshape(expected, (len(X), -1)), rtol=1e-6, atol=1e-7)
    assert model.schema.columns == estimator.schema_.columns
    names = {"three": "kind", "two": "kind", "values": "price", "several": "y0", "counts": "n"}
    assert model.schema.target.names[0] == names[targets]


@pytest.mark.parametrize("target", ["two", "three", "values"])
@pytest.mark.parametrize("more", [{"sharing": "tabm", "n_members": 3}, {"sharing": "tabm-mini", "one_hot": 2}])
def test_members_that_share_weights_and_learned_categories(target, more, table, tmp_path):
    """Also of two classes, which an estimator learns by one logit."""
    X, kind, price = table
    y = {"two": kind == "1", "three": kind, "values": price}[target]
    estimator = (XBRegressor if target == "values" else XBClassifier)(**FAST, **more, early_stopping="loss").fit(X, y)
    assert estimator.network_.replicas == 1
    assert len(estimator.network_.layers) == (3 if "one_hot" not in more else 4)
    found = estimator.predict(X) if target == "values" else estimator.predict_proba(X)
    assert estimator.score(X, y) > 0.5
    estimator.save(tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors")
    expected = model.predict_proba(X)
    np.testing.assert_allclose(np.squeeze(found), np.squeeze(expected), rtol=1e-4, atol=1e-5)
    if estimator.n_members > 1:
        std = estimator.predict_std(X)
        assert std.shape == found.shape
        np.testing.assert_allclose(np.squeeze(std), np.squeeze(model.predict_std(X)), rtol=1e-3, atol=1e-5)
    clone(estimator)


def test_numbers_go_in_as_they_are_unless_a_schema_is_asked_for(table):
    X, kind, price = table
    numbers = X[["label", "size (cm)"]] / [1e9, 1]
    plain = XBClassifier(**FAST).fit(numbers, kind)
    assert plain.schema_ is None
    np.testing.assert_array_equal(
        plain.predict_proba(numbers),
        XBClassifier(**FAST).fit(numbers.to_numpy(), kind).predict_proba(numbers.to_numpy()),
    )
    asked = XBRegressor(schema=True, **FAST).fit(numbers, price)
    assert [column.name for column in asked.schema_.columns] == ["label", "size (cm)"]
    of_arrays = XBRegressor(schema=True, **FAST).fit(numbers.to_numpy(), price.to_numpy())
    np.testing.assert_allclose(of_arrays.predict(numbers.to_numpy()), asked.predict(numbers), rtol=1e-6)
    np.testing.assert_allclose(asked.predict(numbers.to_numpy()), asked.predict(numbers), rtol=1e-6)


def test_large_numbers_keep_their_differences():
    X = pd.DataFrame({"time": np.arange(1_700_000_000, 1_700_000_064)})
    y = np.repeat([0, 1], 32)
    assert XBClassifier(schema=True, **(FAST | {"max_iter": 200})).fit(X, y).score(X, y) == 1


def test_rows_of_no_weight_are_as_good_as_absent(table):
    X, _, price = table
    w = np.r_[np.ones(200), np.zeros(40)]
    weighted = XBRegressor(**FAST).fit(X, price, sample_weight=w)
    alone = XBRegressor(**FAST).fit(X[:200], price[:200])
    assert weighted.schema_ == alone.schema_
    np.testing.assert_allclose(weighted.predict(X), alone.predict(X), rtol=1e-6)


@pytest.mark.parametrize("kind", [GridSearchCV, StackedSearchCV])
def test_searches_take_tables(kind, table):
    X, y, _ = table
    search = kind(XBClassifier(**FAST), {"alpha": [0.0, 1e-3]}, cv=2).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.predict(X).shape == (240,)


def test_goes_on_with_the_schema_of_the_first_fit(table):
    X, y, _ = table
    estimator = XBClassifier(**FAST).fit(X[:120], y[:120])
    first = estimator.schema_
    estimator.warm_start = True
    assert estimator.fit(X, y).schema_ is first
    twin = clone(estimator).partial_fit(X[:120], y[:120], classes=np.unique(y))
    assert twin.partial_fit(X[120:], y[120:]).n_iter_ == 2
    stopped = XBClassifier(early_stopping=True, **FAST).fit(X, y)
    assert stopped.best_validation_score_ is not None


def test_other_libraries_bring_tables_too(table):
    pl = pytest.importorskip("polars")
    X, y, _ = table
    a, b = XBClassifier(**FAST).fit(X, y), XBClassifier(**FAST).fit(pl.from_pandas(X), y)
    assert a.schema_ == b.schema_
    np.testing.assert_array_equal(a.predict(X), b.predict(pl.from_pandas(X)))


def test_sparse_columns_are_read_as_others(table):
    X, y, _ = table
    hot = pd.get_dummies(X["city"], sparse=True, dtype=float)
    a, b = XBClassifier(**FAST).fit(hot, y), XBClassifier(**FAST).fit(hot.sparse.to_dense(), y)
    assert a.schema_ is None
    np.testing.assert_array_equal(a.predict_proba(hot), b.predict_proba(hot.sparse.to_dense()))
    both = X.join(hot)
    a, b = XBClassifier(**FAST).fit(both, y), XBClassifier(**FAST).fit(X.join(hot.sparse.to_dense()), y)
    assert a.schema_ == b.schema_
    np.testing.assert_array_equal(a.predict(both), b.predict(both))


def test_mistakes_are_one_line(table):
    X, y, _ = table
    estimator = XBClassifier(**FAST).fit(X, y)
    with refuses(
        DataError, "XBClassifier: X: expected the columns that the model was trained on, got none named 'age'"
    ):
        estimator.predict(X.drop(columns="age"))
    with refuses(ConfigError, "XBClassifier: expected X (N, 7) as in fit, got (240, 3)"):
        estimator.predict(X.to_numpy()[:, :3])
    with refuses(
        ConfigError,
        "XBClassifier: expected schema as True, False, 'auto', standard, robust, quantile or none, got 'yes'",
    ):
        XBClassifier(schema="yes").fit(X, y)
    with refuses(ConfigError, "expected X (N, I) as an array or a table for a schema, got a sparse matrix"):
        XBClassifier(schema=True).fit(csr_array(np.eye(240)), y)
    with pytest.raises(ValueError, match="could not convert"):
        XBClassifier(schema=False).fit(X, y)


@pytest.mark.parametrize("kind", [XBClassifier, XBRegressor])
def test_for_tables_trains_as_the_command_does(kind):
    from xbnet.cli.tables import OF_TABLES

    model = kind.for_tables(random_state=0, max_iter=3)
    assert model.get_params() == kind(preset="tables", random_state=0, max_iter=3).get_params()
    assert model.get_params() == kind(random_state=0).set_params(preset="tables", max_iter=3).get_params()
    given = clone(kind((100,), preset="tables", tol=1e-4)).set_params(max_iter=200)  # scikit-learn's, but given
    assert (given.hidden_layer_sizes, given.tol, given.n_members) == ((100,), 1e-4, 4)
    assert (clone(given).max_iter, kind().n_members) == (200, 1)
    with refuses(ConfigError, f"{kind.__name__}: unknown preset 'table'; did you mean 'tables'? known are tables"):
        kind(preset="table").fit(np.eye(2), [0.0, 1.0])
    with refuses(ConfigError, f"{kind.__name__}: unknown preset ['tables']; did you mean 'tables'? known are tables"):
        kind(preset=["tables"]).fit(np.eye(2), [0.0, 1.0])
    found = {"hidden": model.hidden_layer_sizes, "members": model.n_members, "activation": model.activation}
    found |= {"lr": model.learning_rate_init, "schedule": model.schedule, "val": model.validation_fraction}
    found |= {"patience": model.n_iter_no_change + 1, "optimizer": model.solver}
    assert found == {key: OF_TABLES[key] for key in found}
    assert model.max_iter == 3
    frame = pd.DataFrame({"a": np.arange(400) % 7, "b": np.where(np.arange(400) % 3, "x", None)})
    y = (frame["a"] > 3).astype(float) if kind is XBRegressor else np.where(frame["a"] > 3, "p", "q")
    model.fit(frame, y)
    assert model.network_.replicas == 4
    assert model.history_.records[0]["val_loss"].shape == (4,)
    assert list(model.history_.best_epoch) == list(1 + np.argmin(model.history_["val_loss"], axis=0))
    with pytest.raises(ConfigError, match=r"expected early_stopping to be True, False or 'loss', got 'score'"):
        kind(early_stopping="score").fit(frame[["a"]], y)


@pytest.mark.parametrize("text", [True, False])
def test_a_stream_of_batches_is_a_table_that_is_read_once(text):
    import pyarrow as pa

    table = pa.table({"a": np.arange(20.0)} | ({"c": ["x", "y"] * 10} if text else {}))
    y = np.repeat(["p", "q"], 10)

    def stream():
        return pa.RecordBatchReader.from_batches(table.schema, table.to_batches(7))

    model = XBClassifier(max_iter=1, n_iter_no_change=2, random_state=0).fit(stream(), y)
    assert (model.schema_ is not None) == text
    assert list(model.feature_names_in_) == table.column_names
    np.testing.assert_array_equal(model.predict_proba(stream()), model.predict_proba(table))
