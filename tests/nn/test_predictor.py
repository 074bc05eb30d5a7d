"""Many rows through a network, in chunks."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet.backends.replay import MOST
from xbnet.errors import DataError
from xbnet.nn import predictor as inference
from xbnet.nn.outputs import LINKS
from xbnet.nn.predictor import CACHE, FEWEST_ROWS, MOST_ROWS, Predictor, chunk_rows


@given(st.integers(0, 10**7))
def test_chunks_are_powers_of_two_that_fit_into_the_cache(bytes_per_row):
    rows = chunk_rows(bytes_per_row)
    assert FEWEST_ROWS <= rows <= MOST_ROWS
    assert rows & (rows - 1) == 0
    assert rows == FEWEST_ROWS or rows * bytes_per_row <= CACHE
    assert rows == MOST_ROWS or 2 * rows * bytes_per_row > CACHE


def test_chunks_depend_on_widths_alone():
    sizes = {cases.network("deep", replicas=replicas).chunk_rows for replicas in (1, 2, 7)}
    assert len(sizes) == 1
    narrow, wide = (xbnet.Network([xbnet.Linear(n, "relu"), xbnet.Linear(3)], 4).chunk_rows for n in (8, 4000))
    assert narrow > wide


@settings(max_examples=30, deadline=None)
@given(
    n=st.integers(0, 40), chunk=st.sampled_from([1, 7, 16]), replicas=st.integers(1, 3), dtype=st.sampled_from("fdi")
)
def test_chunks_are_joined(n, chunk, replicas, dtype):
    network = cases.network(replicas=replicas, dtype="float64")
    x = (10 * np.random.default_rng(n).normal(size=(n, 4))).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xbnet.nn.predictor.chunk_rows", lambda bytes_per_row: chunk)
        found = Predictor(network).run(x, lambda logits: logits * 2)
    whole = network.forward(x.astype(float)[None]) * 2 if n else np.zeros((replicas, 0, 3))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, whole if replicas > 1 else whole[0], rtol=1e-12)


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "multilabel", "scores", "identity"])
@pytest.mark.parametrize("n_outputs", [2, 3])
def test_labels_are_those_of_the_probabilities(link, n_outputs):
    network = xbnet.Network([xbnet.Linear(n_outputs)], 4, replicas=2, rng=0)
    network.link = link
    x = np.random.default_rng(0).normal(size=(5000, 4))
    p = network.predict_proba(x)
    expected = {"multilabel": p >= 0.5, "identity": p}.get(link, p.argmax(axis=-1))
    np.testing.assert_array_equal(network.predict(x), expected)


def test_what_was_predicted_before_does_not_matter():
    """Rows of equal numbers go through the same arrays; there are not many of them, and `release` lets them go."""
    network, rng = cases.network(dtype="float64"), np.random.default_rng(0)
    for n in [5, 5, 5, 9, 5, *range(1, 20), 5]:
        x = rng.normal(size=(n, 4))
        network.theta[...] += 0.1
        fresh = cases.network(dtype="float64")
        fresh.theta[...] = network.theta
        np.testing.assert_array_equal(network.predict_proba(x), fresh.predict_proba(x))
    assert 0 < len(network._predictor._rows) <= MOST
    network.release()
    assert network._predictor is None


@pytest.mark.parametrize("C", [1, 2, 4, 5, 30])
@pytest.mark.parametrize("shape", [(1, 0), (1, 1), (2, 3), (1, 500)])
def test_softmax(C, shape):
    z = np.random.default_rng(0).normal(size=(*shape, C)) * 10
    np.testing.assert_allclose(LINKS["softmax"][0](z), scipy.special.softmax(z, axis=-1), rtol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_probabilities_of_one_row_are_those_of_it_among_others(dtype):
    z = np.random.default_rng(0).normal(size=(300, 1, 20)).astype(dtype)
    np.testing.assert_array_equal(np.concatenate([LINKS["softmax"][0](row[None]) for row in z]), LINKS["softmax"][0](z))


def test_many_numbers_of_rows_leave_little_memory_behind():
    network = xbnet.Network([xbnet.Linear(2)], 50, rng=0)
    inference._zeros.cache_clear()
    for n in range(1, 200):
        network.predict(np.ones((n, 50)))
    assert inference._zeros.cache_info().currsize < 16


def test_threads_take_turns():
    network, rng = xbnet.Network([xbnet.Linear(100, "tanh"), xbnet.Linear(3)], 20, rng=0), np.random.default_rng(0)
    rows = [rng.normal(size=(n, 20)) for n in (5000, 100, 3000)]
    labels = [np.arange(len(x)) % 3 for x in rows]

    def ask(i):
        return network.predict_proba(rows[i]), xbnet.evaluate(network, "cross_entropy", rows[i], labels[i])["loss"]

    alone = [ask(i) for i in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for n, found in enumerate(pool.map(ask, [0, 1, 2] * 20)):
            for one, other in zip(found, alone[n % 3], strict=True):
                np.testing.assert_array_equal(one, other)


def test_a_thread_that_trains_takes_turns_too():
    data, x = cases.samples(n=300), np.random.default_rng(0).normal(size=(5000, 4))

    def run(disturbed):
        network = xbnet.Network([xbnet.Linear(30, "tanh"), xbnet.Linear(3)], 4, replicas=2, rng=0)
        with ThreadPoolExecutor(1) as pool:
            training = pool.submit(xbnet.fit, network, "cross_entropy", "adam", data, epochs=40, batch_size=16, rng=1)
            while disturbed and not training.done():
                p = network.predict_proba(x)
                np.testing.assert_allclose(p.sum(axis=-1), 1, rtol=1e-5)
            training.result()
        return network.theta

    np.testing.assert_array_equal(run(True), run(False))


@pytest.mark.parametrize("row", cases.LAYERS)
def test_no_rows_at_all(row):
    network = cases.network(row, replicas=2)
    for _ in range(3):
        assert network.predict_proba(np.zeros((0, cases.N_INPUTS))).shape == (2, 0, cases.N_CLASSES)


@pytest.mark.parametrize(("bad", "said"), [(np.nan, "nan"), (-np.inf, "-inf"), (1e300, "inf")])
def test_rows_that_are_not_finite_are_named(bad, said):
    network = cases.network(dtype="float32")
    x = np.ones((network.chunk_rows + 9, 4))
    x[-2, 3] = bad
    for predict in (network.predict, network.predict_proba):
        with refuses(
            DataError,
            f"Network.predict: expected numbers that are finite in float32, got {said} in row {len(x) - 2}, column 3; "
            "drop or fill such rows",
        ):
            predict(x)
