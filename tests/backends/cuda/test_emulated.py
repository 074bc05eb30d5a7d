"""The emulated device finds races, wrong arguments and stray writes, so that a kernel that passes is worth something."""

import itertools
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support.devices.emulation import ORDERS, launcher
from tests.support.errors import refuses
from xbnet import BackendError
from xbnet.backends.cuda import launch
from xbnet.backends.cuda.launch import CudaLauncher, source_text

# Every block turns its piece of x around, through shared memory: what a thread reads, another one has written.
TURN = """
template <typename T> KERNEL(256) void turn(T* x, int n, T factor) {
    T* kept = shared_memory<T>();
    T* mine = x + (block_y() * blocks_x() + block_x()) * n;
    phase([&](int thread) {
        for (int i = thread; i < n; i += threads()) kept[i] = mine[i];
    BARRIER
        for (int i = thread; i < n; i += threads()) mine[i] = factor * kept[n - 1 - i];
    });
}
"""
BARRIER = "});\n    phase([&](int thread) {"
F8 = np.float64


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "kernel.cuh").write_text(text)
        return str(tmp_path / "kernel.cuh")

    return write


def turned(source, order, grid=(3, 2), threads=32, n=40, shared=8 * 40):
    x = np.arange(6.0 * n)
    launcher(order).launch(source, "turn<double>", grid, threads, shared, (x, np.int32(n), F8(2)))
    return x


@pytest.mark.parametrize("order", ORDERS)
def test_a_kernel_runs_in_any_order(write, order):
    found = turned(write(TURN.replace("BARRIER", BARRIER)), order)
    np.testing.assert_array_equal(found, 2 * np.arange(240.0).reshape(6, 40)[:, ::-1].ravel())


def test_a_missing_barrier_shows(write):
    """Not as a wrong number only, but in that no two orders agree."""
    source = write(TURN.replace("BARRIER", ""))
    found = [turned(source, order) for order in ORDERS]
    assert not any(np.array_equal(a, b, equal_nan=True) for a, b in itertools.pairwise(found))


def test_blocks_that_meet_show(write):
    source = write("KERNEL(32) void count(int* x) { phase([&](int thread) { if (thread == 0) x[0] = block_x(); }); }")
    x = np.zeros((len(ORDERS), 1), np.int32)
    for row, order in zip(x, ORDERS, strict=True):
        launcher(order).launch(source, "count", (5,), 32, 0, (row,))
    assert x[0] != x[1]


def test_what_nobody_has_written_is_nan(write):
    source = write("KERNEL(32) void peek(float* x) { phase([&](int t) { x[t] = shared_memory<float>()[t]; }); }")
    x = np.zeros(32, np.float32)
    launcher().launch(source, "peek", (1,), 32, 4 * 32, (x,))
    assert np.isnan(x).all()


def test_stray_writes_are_found(write):
    source = write(TURN.replace("BARRIER", BARRIER))
    with refuses(BackendError, "turn<double>: wrote beyond its 312 bytes of shared memory"):
        turned(source, "forward", shared=8 * 39)


def test_too_much_shared_memory_is_refused(write):
    line = "turn<double>: 300000 bytes of shared memory are more than 232448"
    with refuses(BackendError, line):
        turned(write(TURN.replace("BARRIER", BARRIER)), "forward", shared=300_000)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((np.zeros(40), np.int32(40)), "turn<double>: expected 3 arguments, got 2"),
        ((np.zeros(40, np.float32), np.int32(40), F8(2)), "turn<double>: argument 0: expected an array of float64, got float32"),
        ((np.zeros(40), np.int64(40), F8(2)), "turn<double>: argument 1: expected int32, got np.int64(40)"),
        ((np.zeros(40), np.zeros(1), F8(2)), "turn<double>: argument 1: expected a int32, got an array"),
        ((F8(1), np.int32(40), F8(2)), "turn<double>: argument 0: expected an array of float64, got np.float64(1.0)"),
        ((np.zeros(40), 40, F8(2)), "a kernel's scalars are NumPy scalars such as np.int32(3), got 40"),
    ],
)  # fmt: skip
def test_arguments_of_other_types_are_refused(write, arguments, line):
    """A device would read them as numbers of its own choice."""
    source = write(TURN.replace("BARRIER", BARRIER))
    with refuses(TypeError, line):
        launcher().launch(source, "turn<double>", (1,), 32, 8 * 40, arguments)


def test_the_compiler_is_quoted(write):
    with pytest.raises(BackendError, match="(?s)failed:.*wobble"):
        launcher().launch(write("void f() { wobble(); }"), "f", (1,), 32, 0, ())


# -- the launcher of a device ------------------------------------------------------------------------------------------


class Cupy:
    """What `CudaLauncher` needs of CuPy, and what it was asked."""

    def __init__(self):
        device = SimpleNamespace(attributes={"MaxSharedMemoryPerBlockOptin": 232448})
        self.cuda = SimpleNamespace(Device=lambda: device)
        self.asked = []

    def RawModule(self, **keywords):
        self.asked.append(("compile", keywords["options"], keywords["name_expressions"]))
        self.code = keywords["code"]
        return self

    def get_function(self, name):
        def kernel(grid, block, arguments, shared_mem):
            self.asked.append((name, grid, block, arguments, shared_mem, kernel.max_dynamic_shared_size_bytes))

        kernel.max_dynamic_shared_size_bytes = 0
        return kernel


def test_on_a_device_kernels_are_compiled_once_and_get_the_memory_they_ask_for(write):
    cupy, x = Cupy(), np.zeros(3)
    device = CudaLauncher(cupy)
    source = write(TURN.replace("BARRIER", BARRIER))
    for shared in (64, 100_000, 80_000):
        device.launch(source, "turn<double>", (3, 2), 32, shared, (x, None, np.int32(3)))
    assert cupy.asked[0] == ("compile", ("--std=c++17",), ["turn<double>"])
    assert [(asked[4], asked[5]) for asked in cupy.asked[1:]] == [(64, 0), (100_000, 100_000), (80_000, 100_000)]
    assert cupy.asked[1][:3] == ("turn<double>", (3, 2), (32,))
    assert cupy.asked[1][3][0] is x
    assert cupy.asked[1][3][1] == np.uintp(0)
    assert "void phase" in cupy.code.split("turn(")[0]
    with refuses(TypeError, "a kernel's scalars are NumPy scalars such as np.int32(3), got 3"):
        device.launch(source, "turn<double>", (3, 2), 32, 0, (x, None, 3))


def test_the_real_cupy_knows_what_is_asked_of_it():
    cupy = pytest.importorskip("cupy")
    assert callable(cupy.RawModule.get_function)
    assert hasattr(cupy.RawKernel, "max_dynamic_shared_size_bytes")


def test_headers_stand_where_they_are_included_and_lines_keep_their_numbers():
    text = source_text("train.cuh")
    assert text.index("void phase") < text.index("struct AdamW") < text.index("void train(")
    assert '#include "' not in text
    here = text[: text.index("void train(")].rpartition('"train.cuh"\n')
    number = int(here[0].rsplit("#line ", 1)[1]) + here[2].count("\n")
    assert "void train(" in Path(launch.__file__).with_name("train.cuh").read_text().splitlines()[number - 1]
