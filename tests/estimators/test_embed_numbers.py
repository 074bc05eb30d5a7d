"""`embed_numbers`: the numbers of a table, and only these, get an embedding in front of the hidden layers."""

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from tests.support.errors import refuses
from xbnet import (
    ConfigError,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    StackedSearchCV,
    XBClassifier,
    XBRegressor,
    load_model,
    quantile_bins,
)

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
N, RNG = 120, np.random.default_rng(0)
X = pd.DataFrame(
    {
        "city": RNG.choice(["Ulm", "Bonn", "Kiel"], N),
        "old": np.arange(N) % 2,
        "member": RNG.random(N) < 0.5,
        "size": np.where(RNG.random(N) < 0.1, np.nan, RNG.normal(50, 9, N)),
        "built": pd.Timestamp("2024-01-01") + pd.to_timedelta(RNG.integers(0, 400, N), "D"),
    }
)
"""Inputs: 3 of the city, or its code; old; member; size and whether it is missing; built."""
Y = np.sin(X["size"].fillna(50) / 5).to_numpy()
FAST = {"hidden_layer_sizes": (4,), "max_iter": 3, "learning_rate_init": 0.02, "random_state": 0, "schema": True}


@pytest.mark.parametrize("how", ["periodic", "piecewise_linear"])
@pytest.mark.parametrize(
    "more", [{}, {"one_hot": 2, "n_members": 2}, {"one_hot": 2, "sharing": "tabm", "n_members": 2}]
)
def test_numbers_and_dates_are_embedded(how, more, tmp_path):
    model = XBRegressor(embed_numbers=how, early_stopping="loss", **FAST, **more).fit(X, Y)
    names = [type(layer).__name__ for layer in model.network_.layers]
    coded = "one_hot" in more
    assert (names[0] == "Embedding") == coded
    layer = model.network_.layers[coded]
    assert isinstance(layer, PeriodicEmbedding if how == "periodic" else PiecewiseLinearEmbedding)
    assert layer.columns == ([2, 4] if coded else [5, 7])  # behind the code that stood in front; "old" has two values
    assert model.schema_.numbers == ([1, 3, 5] if coded else [3, 5, 7])
    model.save(tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors").predict_proba(X)
    np.testing.assert_allclose(loaded[:, 0], model.predict(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(clone(model).fit(X, Y).predict(X), model.predict(X))


def test_it_is_the_layer_that_one_would_put_there():
    one = XBRegressor.for_tables(embed_numbers="periodic", max_iter=3, random_state=0).fit(X, Y)
    sizes = (PeriodicEmbedding(4, n_frequencies=16, sigma=0.1, columns=[5, 7]), 32)
    other = XBRegressor.for_tables(hidden_layer_sizes=sizes, max_iter=3, random_state=0).fit(X, Y)
    np.testing.assert_array_equal(one.predict(X), other.predict(X))


def test_bins_are_of_the_rows_that_count():
    weight = np.r_[np.ones(N - 20), np.zeros(20)]
    model = XBRegressor(embed_numbers="piecewise_linear", **FAST).fit(X, Y, sample_weight=weight)
    rows = model.schema_.encode(X)[: N - 20, [5, 7]]
    bins = [np.concatenate(found) for found in (model.network_.layers[0].bins, quantile_bins(rows))]
    np.testing.assert_allclose(*bins, rtol=1e-6)


def test_bins_have_the_networks_precision():
    rows = 1.7e9 + RNG.random((N, 1)) * 100
    model = XBRegressor(embed_numbers="piecewise_linear", dtype="float64", **FAST | {"schema": False})
    assert len(model.fit(rows, Y).network_.layers[0].bins[0]) == 17


@pytest.mark.parametrize("how", ["none", "periodic"])
@pytest.mark.parametrize("schema", [False, True])
def test_weights_are_checked_before_anything_is_learned_from_them(how, schema):
    model = XBRegressor(embed_numbers=how, **FAST | {"schema": schema})
    rows = RNG.normal(50, 9, (N, 2))
    for weight, message in [
        (np.zeros(N), "at least one non-zero number"),
        (-np.ones(N), "Negative values in data passed to `sample_weight`"),
        (np.full(N, np.nan), "sample_weight contains NaN"),
        (np.ones(N + 1), "sample_weight.shape == "),
    ]:
        with pytest.raises(ValueError, match=message):
            clone(model).fit(rows, Y, sample_weight=weight)
    alike = [clone(model).fit(rows, Y, sample_weight=weight).predict(rows) for weight in (2.0, np.full(N, 2.0))]
    np.testing.assert_array_equal(*alike)


def test_all_columns_of_what_is_no_table():
    rows = RNG.normal(size=(N, 3))
    model = XBClassifier(embed_numbers="periodic", **FAST | {"schema": False}).fit(rows, rows[:, 0] > 0)
    assert model.network_.layers[0].columns == [0, 1, 2]
    assert model.predict(rows).shape == (N,)


def test_a_search_keeps_folds_with_other_bins_apart():
    grid = {"alpha": [0.0, 1e-3], "embed_numbers": ["none", "piecewise_linear"]}
    found = [kind(XBRegressor(**FAST), grid, cv=2).fit(X, Y).cv_results_ for kind in (GridSearchCV, StackedSearchCV)]
    np.testing.assert_allclose(found[0]["mean_test_score"], found[1]["mean_test_score"], rtol=1e-6)


def test_what_can_not_be_is_one_line():
    with refuses(
        ConfigError, "XBRegressor: unknown embed_numbers 'fourier'; known are none, periodic, piecewise_linear"
    ):
        XBRegressor(embed_numbers="fourier").fit(X, Y)
    model = XBRegressor(embed_numbers="periodic", **FAST)
    asked = "XBRegressor: embed_numbers='periodic': expected "
    line = "inputs that are numbers, of three values or more, got none; leave it out"
    with refuses(ConfigError, asked + line):
        model.fit(X[["city", "old", "member"]], Y)
    with refuses(ConfigError, asked + "X (N, I) as an array or a table, got a sparse matrix"):
        clone(model).set_params(schema=False).fit(csr_matrix(np.eye(4)), np.arange(4.0))
    own = XBRegressor(embed_numbers="periodic", **FAST | {"hidden_layer_sizes": (PeriodicEmbedding(columns=[5]), 4)})
    with pytest.raises(ConfigError, match="embed_numbers moves the columns that a layer of your own names"):
        own.fit(X, Y)
    model.fit(X, Y).set_params(warm_start=True, embed_numbers="none")
    with pytest.raises(ConfigError, match="expected embed_numbers periodic, as before, to train further, got none"):
        model.fit(X, Y)
