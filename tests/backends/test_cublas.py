"""Products on CUDA without a device: plans against an emulated cuBLAS, and the true caller against a fake library."""

import ctypes
import ctypes.util
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.chance import examples
from tests.support.devices.fake_cupy import fake_cublas
from tests.support.errors import refuses
from xbnet import BackendError, ConfigError
from xbnet.backends.cublas import WORKSPACE, Cublas, Host, declare, load_library, plan
from xbnet.backends.ops import Ops

SIZE = st.sampled_from([1, 2, 3, 5])
PADDINGS = ["none", "columns", "theta", "interleaved"]


def operand(rng, R, rows, columns, flip, padding, dtype):
    """(R, rows, columns): a view of one of the kinds that networks make, full of random numbers."""
    r, c = (columns, rows) if flip else (rows, columns)
    if padding == "theta":  # a block in rows of theta (R, P)
        view = rng.normal(size=(R, r * c + 7)).astype(dtype)[:, 3 : 3 + r * c].reshape(R, r, c)
    elif padding == "columns":
        view = rng.normal(size=(R, r, c + 3)).astype(dtype)[:, :, 1 : 1 + c]
    elif padding == "interleaved":  # replicas within rows
        view = rng.normal(size=(r, R, c)).astype(dtype).swapaxes(0, 1)
    else:
        view = rng.normal(size=(R, r, c)).astype(dtype)
    return view.swapaxes(1, 2) if flip else view


@st.composite
def products(draw):
    """Operands and a result of random sizes and layouts."""
    R, M, K, N = (draw(SIZE) for _ in range(4))
    dtype = draw(st.sampled_from(["float32", "float64"]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    layout = lambda: (draw(st.booleans()), draw(st.sampled_from(PADDINGS)), dtype)  # noqa: E731
    a = operand(rng, draw(st.sampled_from([1, R])), M, K, *layout())
    b = operand(rng, draw(st.sampled_from([1, R])), K, N, *layout())
    return a, b, operand(rng, R, M, N, *layout())


def emulate(p, a, b, out):
    """What cuBLAS does with these numbers: matrices by columns, read from addresses."""
    first, second = (b, a) if p.first_is_b else (a, b)

    def matrix(array, r, rows, columns, ld, stride):
        assert ld >= rows
        size = array.itemsize
        reach = (rows - 1 + ld * (columns - 1) + 1) * size
        memory = (ctypes.c_char * reach).from_address(array.ctypes.data + r * stride * size)
        flat = np.frombuffer(memory, array.dtype)
        return np.lib.stride_tricks.as_strided(flat, (rows, columns), (size, ld * size), writeable=True)

    for r in range(p.batch):
        shapes = [(p.m, p.k), (p.k, p.n)]
        shapes = [s[::-1] if t else s for s, t in zip(shapes, (p.transpose_first, p.transpose_second), strict=True)]
        A = matrix(first, r, *shapes[0], p.ld_first, p.stride_first)
        B = matrix(second, r, *shapes[1], p.ld_second, p.stride_second)
        C = matrix(out, r, p.m, p.n, p.ld_out, p.stride_out)
        C[...] = (A.T if p.transpose_first else A) @ (B.T if p.transpose_second else B)


def close(out, a, b):
    np.testing.assert_allclose(
        out, np.broadcast_to(a @ b, out.shape), rtol=1e-5 if out.dtype == np.float32 else 1e-13, atol=1e-5
    )


@settings(max_examples=examples(400), deadline=None)
@given(products())
def test_plans_compute_the_product(arrays):
    """Also: each of these layouts has a plan, and nothing outside `out` is written."""
    a, b, out = arrays
    around = out.base if out.base is not None else out
    before = around.copy()
    emulate(plan(a, b, out), a, b, out)
    close(out, a, b)
    out[...] = 0
    outside = around.copy()
    expected = np.where(outside == 0, 0, before)
    np.testing.assert_array_equal(outside, expected)


def test_a_shared_operand_has_stride_0_and_theta_its_row_length():
    x, theta = np.zeros((1, 8, 4), np.float32), np.zeros((5, 100), np.float32)
    W, out = theta[:, 7:19].reshape(5, 4, 3), np.zeros((5, 8, 3), np.float32)
    found = plan(x, W, out)
    assert (found.first_is_b, found.transpose_first, found.transpose_second) == (True, 0, 0)
    assert (found.m, found.n, found.k, found.batch) == (3, 8, 4, 5)
    assert (found.stride_first, found.stride_second, found.stride_out) == (100, 0, 24)
    backward = plan(out, W.swapaxes(1, 2), np.zeros((5, 8, 4), np.float32))
    assert (backward.transpose_first, backward.ld_first, backward.stride_first) == (1, 3, 100)


def f32(*shape):
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize(
    ("a", "b", "out"),
    [
        (f32(2, 3, 8)[:, :, ::2], f32(2, 4, 5), f32(2, 3, 5)),  # neither rows nor columns are contiguous
        (np.lib.stride_tricks.sliding_window_view(f32(2, 6), 4, 1), f32(2, 4, 5), f32(2, 3, 5)),  # rows overlap
        (f32(2, 3, 4)[:, :, ::-1], f32(2, 4, 5), f32(2, 3, 5)),  # backwards
        (f32(2, 3, 4), f32(2, 4, 5), f32(2, 3, 10)[:, :, ::2]),
        (f32(2, 3, 4), f32(2, 4, 5), np.broadcast_to(f32(1, 3, 5), (2, 3, 5))),  # replicas on top of each other
        (f32(2, 3, 4), np.zeros((2, 4, 5)), f32(2, 3, 5)),  # two types
        (f32(2, 3, 4).astype(int), f32(2, 4, 5).astype(int), f32(2, 3, 5).astype(int)),
        (f32(2, 3, 0), f32(2, 0, 5), f32(2, 3, 5)),  # nothing to sum
        (f32(0, 3, 4), f32(0, 4, 5), f32(0, 3, 5)),
        (f32(3, 3, 4), f32(2, 4, 5), f32(2, 3, 5)),  # shapes that don't fit
        (f32(2, 3, 4), f32(2, 3, 5), f32(2, 3, 5)),
        (np.broadcast_to(f32(1, 1, 4), (2, 3, 4)), f32(2, 4, 5), f32(2, 3, 5)),  # one row for all
        (np.broadcast_to(f32(1, 1, 1), (1, 2**31, 1)), f32(1, 1, 1), np.broadcast_to(f32(1, 1, 1), (1, 2**31, 1))),
        (np.ndarray((2, 3, 4), np.float32, bytes(200), 0, (50, 16, 4)), f32(2, 4, 5), f32(2, 3, 5)),  # half elements
    ],
)
def test_what_cublas_can_not_read_has_no_plan(a, b, out):
    assert plan(a, b, out) is None


# -- the caller --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def compiled():
    return fake_cublas()


class Machine:
    """A host that looks like a device: NumPy's memory, and streams that are numbers."""

    def __init__(self, library):
        self.library, self.current, self.number, self.allocated = library, 11, 0, []
        self.calls, self.last = (
            (ctypes.c_int64 * 5).in_dll(library, "calls"),
            (ctypes.c_int64 * 16).in_dll(library, "last"),
        )
        self.status = ctypes.c_int.in_dll(library, "next_status")
        ctypes.memset(self.calls, 0, ctypes.sizeof(self.calls))
        self.slow = []

    def allocate(self, nbytes):
        self.allocated.append(nbytes)
        memory = np.empty(nbytes, np.uint8)
        return memory, memory.ctypes.data

    def matmul(self, a, b, out):
        self.slow.append((a.shape, b.shape))
        return np.matmul(a, b, out=out)

    def cublas(self, precision="fp32"):
        host = Host(lambda a: a.ctypes.data, lambda: self.current, lambda: self.number, self.allocate)
        return Cublas(self.library, host, self.matmul, precision)


@pytest.fixture
def machine(compiled):
    return Machine(compiled)


@settings(max_examples=examples(50), deadline=None)
@given(products())
def test_the_caller_computes_the_product(compiled, arrays):
    a, b, out = arrays
    out[...] = np.nan  # beta is 0: what was there is not read
    machine = Machine(compiled)
    assert machine.cublas().gemm(a, b, out) is out
    close(out, a, b)
    assert not machine.slow


def test_precision_and_types_reach_the_library(machine):
    a, b, out = (np.ones((1, 2, 2)) for _ in "abo")
    f = [array.astype(np.float32) for array in (a, b, out)]
    fp32, tf32 = machine.cublas(), machine.cublas("tf32")
    for call, expected in [
        (lambda: fp32.gemm(a, b, out), (1, 70)),
        (lambda: tf32.gemm(a, b, out), (1, 70)),
        (lambda: fp32.gemm(*f), (0, 68)),
        (lambda: tf32.gemm(*f), (0, 77)),
        (lambda: fp32.gemm(*f, precision="tf32"), (0, 77)),
        (lambda: tf32.gemm(*f, precision="fp32"), (0, 68)),
    ]:
        call()
        assert (machine.last[12], machine.last[13]) == expected
    line = "backend 'cupy': expected precision 'fp32' or 'tf32', got 'bf16'"
    with refuses(ConfigError, line):
        machine.cublas("bf16")
    with refuses(ConfigError, line):
        fp32.gemm(*f, precision="bf16")


def test_a_handle_is_made_once_and_follows_the_stream(machine):
    cublas, (a, b, out) = machine.cublas(), (f32(2, 3, 3) for _ in "abo")
    for _ in range(3):
        cublas.gemm(a, b, out)
    assert list(machine.calls) == [1, 0, 1, 1, 3]  # created, destroyed, streams, workspaces, products
    assert machine.allocated == [WORKSPACE]
    assert machine.last[15] == 11
    machine.current = 12
    cublas.gemm(a, b, out)
    assert machine.last[15] == 12
    assert list(machine.calls) == [1, 0, 2, 2, 4]  # the workspace anew: setting the stream takes it away
    machine.number = 1  # another device
    cublas.gemm(a, b, out)
    assert list(machine.calls) == [2, 0, 3, 3, 5]
    machine.number = 0
    cublas.gemm(a, b, out)
    assert list(machine.calls) == [2, 0, 3, 3, 6]
    thread = threading.Thread(target=cublas.gemm, args=(a, b, out))
    thread.start()
    thread.join()
    assert list(machine.calls) == [3, 1, 4, 4, 7]  # its handle went with the thread
    del cublas
    assert list(machine.calls)[:2] == [3, 3]


@pytest.mark.parametrize(("status", "name"), [(13, "CUBLAS_STATUS_EXECUTION_FAILED"), (99, "status 99")])
def test_a_refusal_has_its_name(machine, status, name):
    machine.status.value = status
    line = f"backend 'cupy': cublasGemmStridedBatchedEx failed with {name}; see NVIDIA's cuBLAS documentation for it"
    with refuses(BackendError, line):
        machine.cublas().gemm(f32(1, 2, 2), f32(1, 2, 2), f32(1, 2, 2))


def test_what_has_no_plan_goes_to_matmul(machine):
    a = np.arange(24, dtype=np.float32).reshape(2, 3, 4)[:, :, ::2]
    out = machine.cublas().gemm(a, np.ones((2, 2, 5), np.float32), f32(2, 3, 5))
    np.testing.assert_allclose(out, a @ np.ones((2, 2, 5)))
    assert machine.slow == [((2, 3, 2), (2, 2, 5))]
    assert machine.calls[4] == 0


def test_nothing_is_asked_for_no_rows(machine):
    out = f32(2, 0, 5)
    assert machine.cublas().gemm(f32(2, 0, 4), f32(2, 4, 5), out) is out
    assert not machine.slow
    assert machine.calls[4] == 0


def test_all_products_of_ops_go_there(machine):
    rng, ops = np.random.default_rng(0), Ops(np, machine.cublas().gemm)
    x, dy, W = (rng.normal(size=s) for s in ((1, 7, 4), (3, 7, 5), (3, 4, 5)))
    np.testing.assert_allclose(ops.bmm(x, W, np.empty((3, 7, 5))), x @ W)
    np.testing.assert_allclose(ops.bmm_tn(x, dy, np.empty((3, 4, 5))), x.swapaxes(1, 2) @ dy)
    np.testing.assert_allclose(ops.bmm_nt(dy, W, np.empty((3, 7, 4))), dy @ W.swapaxes(1, 2))
    np.testing.assert_allclose(ops.row_sum(dy, np.empty((3, 7, 1))), dy.sum(axis=2, keepdims=True))
    np.testing.assert_allclose(ops.batch_sum(dy, np.empty((3, 1, 5))), dy.sum(axis=1, keepdims=True))
    assert machine.calls[4] == 5
    assert not machine.slow


def test_signatures_are_declared(compiled):
    """Without them ctypes hands on 64-bit strides as ints."""
    declare(compiled)
    kinds = compiled.cublasGemmStridedBatchedEx.argtypes
    assert len(kinds) == 23
    assert [i for i, kind in enumerate(kinds) if kind is ctypes.c_longlong] == [10, 14, 19]
    assert [i for i, kind in enumerate(kinds) if kind is ctypes.c_void_p] == [0, 6, 7, 11, 15, 16]


# -- where the library is ----------------------------------------------------------------------------------------------


def test_the_library_is_looked_for_where_cupy_has_it(monkeypatch):
    from xbnet.backends import cublas as module

    path = np._core._multiarray_umath.__file__  # any library that is there

    class Pathfinder:
        @staticmethod
        def load_nvidia_dynamic_lib(name):
            assert name == "cublas"
            return type("Loaded", (), {"abs_path": path})

    monkeypatch.setattr(module.importlib, "import_module", {"cuda.pathfinder": Pathfinder}.__getitem__)
    assert load_library(12)._name == path
    monkeypatch.setattr(module.importlib, "import_module", {}.__getitem__)  # CuPy without it, a system's library
    monkeypatch.setattr(ctypes.util, "find_library", {"cublas": path}.get)
    assert load_library(12)._name == path


def test_the_system_is_asked_for_cupys_version_of_cuda_first(monkeypatch):
    from xbnet.backends import cublas as module

    def load(path):
        asked.append(path)
        raise OSError

    for major in (12, 13):
        asked = []
        monkeypatch.setattr(module.importlib, "import_module", {}.__getitem__)
        monkeypatch.setattr(ctypes.util, "find_library", {"cublas": "libcublas.so.11"}.get)
        monkeypatch.setattr(ctypes, "CDLL", load)
        with pytest.raises(OSError):
            load_library(major)
        assert asked == [f"libcublas.so.{major}", f"cublas64_{major}.dll", "libcublas.so.11"]


def test_without_a_library_the_error_says_what_was_tried(monkeypatch):
    from xbnet.backends import cublas as module

    monkeypatch.setattr(module.importlib, "import_module", {}.__getitem__)
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    monkeypatch.setattr(module, "LIBRARIES", ("libnowhere.so.1",))
    with pytest.raises(OSError, match=r"^cuda.pathfinder: KeyError; libnowhere.so.1: cannot open shared object file"):
        load_library(12)
