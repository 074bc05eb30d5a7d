import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xbnet import get_backend
from xbnet.training.batches import CHEAP_BYTES, InOrder, Resident, Shuffled
from xbnet.training.sparse import SparseRows

NUMPY = get_backend("numpy")


def resident(n, weights=False):
    """Samples whose x, label and weight tell their number."""
    x = np.arange(n)[:, None] * [1.0, 10.0]
    return Resident(NUMPY, np.dtype("float32"), x, np.arange(n), np.arange(n) / 2 if weights else None)


def generators(*seeds):
    return [np.random.default_rng(seed) for seed in seeds]


def gathered(batches):
    return [[np.copy(array) for array in batch if array is not None] for batch in batches]


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 20), B=st.integers(1, 20), R=st.integers(1, 4), weights=st.booleans())
def test_every_sample_comes_once_an_epoch(n, B, R, weights):
    B = min(n, B)
    batches = Shuffled(NUMPY, resident(n, weights), B, generators(*range(R)))
    for _ in range(2):
        epoch = gathered(batches.epoch())
        assert len(epoch) == batches.steps == -(-n // B)
        assert [batch[1].shape[1] for batch in epoch[:-1]] == [B] * (batches.steps - 1)
        for batch in epoch:
            x, y = batch[0], batch[1]
            np.testing.assert_array_equal(x, y[..., None] * [1.0, 10.0])
            assert x.dtype == np.float32
            if weights:
                np.testing.assert_array_equal(batch[2], y / 2)
        seen = np.concatenate([batch[1] for batch in epoch], axis=1)
        assert all(sorted(row) == list(range(n)) for row in seen)


def test_epochs_differ_and_a_full_batch_stays_in_order():
    batches = Shuffled(NUMPY, resident(9), 4, generators(0))
    first, second = (np.concatenate([y for _, y in gathered(batches.epoch())], axis=1) for _ in range(2))
    assert not np.array_equal(first, second)
    ((_, y),) = gathered(Shuffled(NUMPY, resident(9), 9, generators(0, 1)).epoch())
    assert y.tolist() == [list(range(9))]


def test_a_replica_gets_the_batches_of_its_solo_run():
    both = gathered(Shuffled(NUMPY, resident(11), 4, generators(5, 6)).epoch())
    for r, seed in enumerate((5, 6)):
        for mine, alone in zip(both, gathered(Shuffled(NUMPY, resident(11), 4, generators(seed)).epoch()), strict=True):
            np.testing.assert_array_equal(mine[1][r], alone[1][0])


def test_replicas_of_one_stream_share_their_batches():
    stream = np.random.default_rng(0)
    epoch = gathered(Shuffled(NUMPY, resident(11), 4, [stream, stream, stream]).epoch())
    assert all(x.shape[0] == 1 for x, _ in epoch)


def test_subsets():
    """Folds: each replica sees its own samples, and those of a shared fold share them."""
    first, second = np.array([0, 2, 4, 6]), np.array([7, 5, 3, 1])
    data = resident(8).subsets([first, second, first])
    x, y = gathered(InOrder(NUMPY, data, 4))[0]
    assert y.tolist() == [first.tolist(), second.tolist(), first.tolist()]
    np.testing.assert_array_equal(x, y[..., None] * [1.0, 10.0])
    shuffled = gathered(Shuffled(NUMPY, data, 3, generators(0, 1, 2)).epoch())
    seen = np.concatenate([y for _, y in shuffled], axis=1)
    assert [sorted(row) for row in seen] == [sorted(first), sorted(second), sorted(first)]
    assert data.select(np.array([1])).rows[0] is second
    assert resident(8).select(np.array([1])).n == 8


def test_in_order():
    batches = InOrder(NUMPY, resident(7, weights=True), 3)
    assert [y[0].tolist() for _, y, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]


@pytest.mark.parametrize("kind", ["int8", "uint16", "int64"])
def test_labels_are_indices_and_targets_have_the_type_of_the_network(kind):
    x = np.zeros((3, 2))
    assert Resident(NUMPY, np.dtype("float32"), x, np.array([0, 1, 2], kind)).y.dtype == np.intp
    assert Resident(NUMPY, np.dtype("float32"), x, np.zeros((3, 2))).y.dtype == np.float32


@pytest.mark.parametrize("weights", [False, True])
def test_small_batches_in_order_come_in_the_same_arrays(weights):
    """So that passes over them are played from a tape; large ones are views of the data."""
    batches = InOrder(NUMPY, resident(11, weights), 4)
    arrays = [batch for _ in range(2) for batch in batches]
    assert arrays[0].x is arrays[1].x is arrays[3].x is not arrays[2].x
    assert arrays[2].x is arrays[5].x
    x, y, *w = (np.concatenate(parts, axis=1) for parts in zip(*gathered(batches), strict=True))
    assert y.tolist() == [list(range(11))]
    np.testing.assert_array_equal(x, y[..., None] * [1.0, 10.0])
    assert [row.tolist() for row in w] == ([(y / 2).tolist()] if weights else [])
    large = resident(CHEAP_BYTES)
    assert all(np.shares_memory(batch.x, large.x) for batch in InOrder(NUMPY, large, CHEAP_BYTES // 4))


def test_sparse_samples_in_one_batch_become_dense_once():
    sparse = pytest.importorskip("scipy.sparse")
    x = SparseRows(sparse.csr_array(np.eye(3, dtype=np.float32)))
    batches = InOrder(NUMPY, Resident(NUMPY, np.dtype(np.float32), x, np.zeros(3, int)), 3)
    (first,), (second,) = batches, batches
    assert first.x is second.x
