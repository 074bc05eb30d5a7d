"""Single operations, lowered and played: the same as NumPy's, wherever the operands lie."""

import numpy as np
import pytest

from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.memory import NARROW
from xbnet.backends.machine.record import NotRecordable, Operation, record
from xbnet.backends.numpy_ops import NumpyOps
from xbnet.backends.ops import Ops

pytest.importorskip("numba")

from xbnet.backends.machine.load import machine

R, B = 3, 12


def play(operations, private=(), batch=B, replicas=R, dtype=np.float64):
    """Lower and play one step of all replicas; the program."""
    program = lower(list(operations), np.dtype(dtype), batch, private, {})
    program.play(machine(dtype), program.addresses(replicas, {}), 1, 0, replicas)
    return program


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


SHAPES = [(R, B, 5), (1, B, 5), (R, 1, 5), (R, B, 1), (1, 1, 1), (R, 1, 1)]


@pytest.mark.parametrize("width", [5, NARROW + 1])
@pytest.mark.parametrize("b_shape", SHAPES)
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_binary_operations_broadcast(name, b_shape, width):
    b_shape = (*b_shape[:2], width if b_shape[2] == 5 else 1)
    a, b = draw(R, B, width), draw(*b_shape, seed=1)
    function = getattr(np, name)
    for x, y in ((a, b), (b, a), (a, 0.5), (0.5, a)):
        moved, out = np.empty_like(a), np.empty_like(a)
        play([Operation("copyto", (a,), (moved,)), Operation(name, (x, y), (out,))], [moved])
        np.testing.assert_array_equal(out, function(x, y))
        out = a.copy()  # in place, on either side
        operands = [out if z is a else z for z in (x, y)]
        play([Operation(name, tuple(operands), (out,))])
        np.testing.assert_array_equal(out, function(x, y))


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("K", [1, 2, 3, 4, 5, 9, 70])
@pytest.mark.parametrize("N", [1, 2, 3, 7, 70])
def test_products(N, K, moved):
    """In all layouts, by all kernels; B rows, K units in and N out."""
    x, W, dy = draw(R, B, K), draw(R, K, N, seed=1), draw(R, B, N, seed=2)
    y, dW, dx = np.empty((R, B, N)), np.empty((R, K, N)), np.empty((R, B, K))
    own = [np.empty_like(a) for a in (x, dy, y, dx)] if moved else [x, dy, y, dx]
    operations = [
        Operation("bmm", (own[0], W), (own[2],)),
        Operation("bmm_tn", (own[0], own[1]), (dW,)),
        Operation("bmm_nt", (own[1], W), (own[3],)),
    ]
    if moved:
        before = [Operation("copyto", (a,), (b,)) for a, b in zip((x, dy), own[:2], strict=True)]
        after = [Operation("copyto", (b,), (a,)) for a, b in zip((y, dx), own[2:], strict=True)]
        operations = [*before, *operations, *after]
    play(operations, own if moved else ())
    np.testing.assert_allclose(y, x @ W, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dW, x.swapaxes(1, 2) @ dy, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(dx, dy @ W.swapaxes(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("C", [1, 2, 6, NARROW + 1])
def test_sums_and_largest(C, dtype):
    x = draw(R, B, C).astype(dtype)
    x[:, 3] = x[:, 3, :1]  # ties: the first one counts
    rows, columns, most = np.empty((R, B, 1), dtype), np.empty((R, 1, C), dtype), np.empty((R, B, 1), dtype)
    index, place = np.empty((R, B), np.intp), np.empty((R, B), dtype)
    operations = [
        Operation("row_sum", (x,), (rows,)),
        Operation("batch_sum", (x,), (columns,)),
        Operation("row_max", (x,), (most, index)),
        Operation("copyto", (index,), (place,)),
    ]
    play(operations, [index], dtype=dtype)
    np.testing.assert_allclose(rows, x.sum(2, keepdims=True), rtol=1e-5)
    np.testing.assert_allclose(columns, x.sum(1, keepdims=True), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(most, x.max(2, keepdims=True))
    np.testing.assert_array_equal(place, x.argmax(2))


@pytest.mark.parametrize("moved", [False, True])
def test_rows_of_a_table_by_codes(moved):
    """To the same bits as NumPy's."""
    K, ops = 5, NumpyOps(np)
    W, dy = (draw(R, n, 3, seed=n).astype(np.float32) for n in (K, B))
    codes = (np.arange(R * B) % 8 - 1.0).astype(np.float32).reshape(R, B, 1)  # -1 and more than 4 are none of them
    codes[0, 0] = np.nan
    y, dW = np.empty_like(dy), np.empty_like(W)
    own = [np.empty_like(a) for a in (codes, dy, y)] if moved else [codes, dy, y]
    operations = [Operation("lookup", (W, own[0]), (own[2],)), Operation("lookup_gradient", (own[1], own[0]), (dW,))]
    if moved:
        before = [Operation("copyto", (a,), (b,)) for a, b in zip((codes, dy), own[:2], strict=True)]
        operations = [*before, *operations, Operation("copyto", (own[2],), (y,))]
    play(operations, own if moved else (), dtype=np.float32)
    np.testing.assert_array_equal(y, ops.lookup(W, codes, np.empty_like(y)))
    np.testing.assert_array_equal(dW, ops.lookup_gradient(dy, codes, np.empty_like(W)))


def test_a_nan_is_the_largest():
    x = draw(R, B, 4)
    x[:, 2, 1] = x[:, 5, 3] = np.nan
    most, index, place = np.empty((R, B, 1)), np.empty((R, B), np.intp), np.empty((R, B))
    operations = [Operation("row_max", (x,), (most, index)), Operation("copyto", (index,), (place,))]
    play(operations, [index])
    np.testing.assert_array_equal(most, x.max(2, keepdims=True))
    np.testing.assert_array_equal(place, x.argmax(2))


def test_results_that_nobody_reads_are_not_computed():
    x, unread, out = (draw(R, B, NARROW + 1) for _ in range(3))
    operations = [Operation("exp", (x,), (unread,)), Operation("tanh", (x,), (out,))]
    assert len(play(operations, [unread]).lines) == 1
    assert len(play(operations).lines) == 2


def test_what_is_read_before_it_is_written_stays_where_it_is():
    """A sum that goes on from step to step, in memory that could be moved."""
    x, total = draw(R, B, 4), np.zeros((R, B, 4))
    for _ in range(3):
        play([Operation("add", (total, x), (total,))], [total])
    np.testing.assert_allclose(total, 3 * x)


def test_memory_is_used_again():
    """One piece of memory in two shapes, one after the other; results that are done with make room for others."""
    flat = np.empty(R * B * 90)
    first, second = flat.reshape(R, B, 90), flat[: R * B * 80].reshape(R, B, 80)
    x, y, out = draw(R, B, 90), draw(R, B, 80, seed=1), [np.empty((R, B, 90)), np.empty((R, B, 80))]
    operations = [
        Operation("exp", (x,), (first,)),
        Operation("square", (first,), (out[0],)),
        Operation("exp", (y,), (second,)),
        Operation("square", (second,), (out[1],)),
    ]
    program = play(operations, [flat])
    np.testing.assert_allclose(out[0], np.exp(x) ** 2)
    np.testing.assert_allclose(out[1], np.exp(y) ** 2)
    assert program.own == B * 90 * 8


def test_unknown_operations_are_refused():
    x = draw(R, B, 4)
    with pytest.raises(NotRecordable, match=r"^the machine has no instruction for arctan$"):
        play([Operation("arctan", (x,), (x,))])


class Part:
    """Does what a test says."""

    replayable = True

    def __init__(self):
        self.xp, self.ops = np, Ops(np)


def test_recording_does_nothing():
    part, x, out = Part(), draw(R, B, 4), np.zeros((R, B, 4))

    def run():
        part.xp.add(x, 1.0, out=out)
        part.ops.bias_activation(None, out, x[:, :1], None, None)

    assert [op.name for op in record([({"part": part}, "part")], run)] == ["add", "add"]
    assert not out.any()
    assert part.xp is np


def test_recording_refuses_what_gives_new_arrays():
    part = Part()
    with pytest.raises(NotRecordable, match=r"^xp\.exp without out= gives a new array$"):
        record([({"part": part}, "part")], lambda: part.xp.exp(draw(3)))
    assert part.xp is np
