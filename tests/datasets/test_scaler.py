"""How numbers are scaled: standardized, robustly with smooth clipping, and to a normal distribution."""

import json

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError, Dataset, Part
from xbnet.datasets import Column, Scaler, Schema, load_dataset
from xbnet.datasets.normal import normal_quantile

RNG = np.random.default_rng(0)
X = np.stack([RNG.normal(size=600), np.exp(3 * RNG.normal(size=600)), RNG.poisson(1.0, 600), np.full(600, 7)], axis=1)
NEW = np.concatenate([X, RNG.normal(size=(50, 4)) * 9, X[:50] + 0.3])


def test_robust_is_the_formula_of_realmlp():
    few = np.array([[1.0, 0, 5], [2, 0, 5], [4, 0, 5], [8, 0, 5], [1e6, 1, 5]])
    scaler = Scaler.fit(few, "robust")
    assert scaler.mean.tolist() == [4, 0, 5]
    assert scaler.scale.tolist() == [6, 0.5, 1]  # the quartiles' distance, half of the range, nothing
    z = (few - [4, 0, 5]) / [6, 0.5, 1]
    np.testing.assert_allclose(scaler(few), z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-12)
    np.testing.assert_allclose(scaler.undo(scaler(few)), few, rtol=1e-6)
    assert scaler(np.array([[1e307, -1e307, 5]])).tolist() == [[3, -3, 0]]


def test_quantile_is_that_of_scikit_learn():
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    scaler = Scaler.fit(X, "quantile")
    assert len(scaler.quantiles) == 20  # 30 rows each
    theirs = preprocessing.QuantileTransformer(n_quantiles=20, output_distribution="normal", subsample=None).fit(X)
    np.testing.assert_allclose(scaler(NEW)[:, :3], theirs.transform(NEW)[:, :3], rtol=0, atol=1e-9)
    assert not scaler(NEW)[:, 3].any()  # where theirs has -5.2 for each
    np.testing.assert_allclose(scaler.undo(scaler(X))[:, :3], X[:, :3], rtol=1e-4, atol=1e-6)


def test_normal_quantiles_are_exact_to_rounding():
    special = pytest.importorskip("scipy.special")
    p = np.concatenate([10 ** -np.linspace(0.3, 7, 999), 1 - 10 ** -np.linspace(0.3, 7, 999)])
    np.testing.assert_allclose(normal_quantile(p), special.ndtri(p), rtol=1e-14)


@pytest.mark.parametrize("scaling", ["standard", "robust", "quantile"])
def test_only_what_is_chosen_is_scaled(scaling):
    scaler = Scaler.fit(X, scaling)
    found, whole = scaler.only(np.array([False, True, True, False])), scaler(NEW)
    np.testing.assert_array_equal(found(NEW), np.stack([NEW[:, 0], whole[:, 1], whole[:, 2], NEW[:, 3]], axis=1))
    again = Scaler.of_arrays(found.arrays())
    np.testing.assert_array_equal(again(NEW), found(NEW))
    assert scaler(NEW.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("scaling", ["none", "standard", "robust", "quantile"])
def test_a_schema_scales_its_numbers_alone(scaling, tmp_path):
    pytest.importorskip("pyarrow")
    table = {"a": X[:, 0], "b": X[:, 1].astype(object), "c": RNG.choice(["x", "y", "z"], 600)}
    table["b"][::50] = None
    lines = [",".join("" if v is None else str(v) for v in row) for row in zip(*table.values(), strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,c", *lines]) + "\n")
    data = load_dataset(tmp_path / "t.csv", target="c", scaling=scaling, val=0.2)
    schema = Schema.from_json(json.loads(json.dumps(data.schema.to_json())))
    assert schema == data.schema
    plain = load_dataset(tmp_path / "t.csv", target="c", val=0.2)
    expected = plain.train.x.copy()
    expected[:, :2] = Scaler.fit(plain.train.x, scaling)(plain.train.x)[:, :2]
    np.testing.assert_allclose(data.train.x, expected, rtol=1e-12)
    found = schema.encode({"a": X[:, 0], "b": table["b"]})
    assert {tuple(row) for row in data.val.x.tolist()} <= {tuple(row) for row in found.tolist()}


def test_a_category_of_many_values_is_one_code():
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    names = [*"abcdefgh"] * 8
    frame = pd.DataFrame({"many": names, "few": ["x", None] * 32, "n": np.arange(64.0) % 7})
    for wrong in (0, 2.5, "4", True):
        with pytest.raises(ConfigError, match=r": expected one_hot to be a whole number >= 1, got "):
            Schema.learn(frame, one_hot=wrong)
    schema = Schema.learn(frame, one_hot=4)
    assert [column.coded for column in schema.columns] == [True, False, False]
    assert schema.input_names == ("many", "few=x", "few=(missing)", "n")
    assert schema.columns[0].n_codes == 9
    found = schema.encode({"many": ["a", "h", "new", ""], "few": ["x"] * 4, "n": [1.0] * 4})
    assert found[:, 0].tolist() == [1, 8, 0, 0]
    assert Schema.from_json(schema.to_json()) == schema
    both = Column("c", "category", values=("p", "q"), rare=True, missing=True, coded=True)
    found = Schema((both,)).encode({"c": ["q", "rare", None]})
    assert (found.ravel().tolist(), both.n_codes) == ([2, 0, 3], 4)


def test_what_is_refused():
    with refuses(
        ConfigError,
        "scaling: unknown scaling 'robst'; did you mean 'robust'? known are none, quantile, robust, standard",
    ):
        Dataset("d", Part(X, X[:, 0])).scaled("robst")
    mean, quantiles = np.zeros(2), np.array([[0.0, np.nan], [1.0, np.nan]])
    assert Scaler.of_arrays({"mean": mean, "scale": mean + 1, "quantiles": quantiles}).column(0)["quantiles"] == (0, 1)
    for wrong in (
        {"scale": mean},
        {"clip": mean + 2},
        {"quantiles": quantiles[::-1]},
        {"quantiles": quantiles[:1]},
        {"quantiles": np.array([[0.0, np.nan], [1.0, 2.0]])},
        {"more": mean},
    ):
        with pytest.raises(ValueError, match="preparation"):
            Scaler.of_arrays({"mean": mean, "scale": mean + 1} | wrong)
