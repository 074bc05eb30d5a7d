import importlib
import pickle
import sys

import numpy as np
import pytest

import xbnet
from tests.support.devices.fake_cupy import Cupy
from tests.support.errors import refuses
from xbnet import BackendError, ConfigError, get_backend
from xbnet.backends import backend as module
from xbnet.backends import devices


@pytest.fixture
def unopened(monkeypatch):
    """As if no backend had been opened yet."""
    monkeypatch.setattr(module, "_opened", {})
    return monkeypatch


def without(monkeypatch, *names, reason="No module named {!r}"):
    real = importlib.import_module

    def refuse(name):
        if name in names:
            raise ImportError(reason.format(name))
        return real(name)

    monkeypatch.setattr(devices.importlib, "import_module", refuse)


def test_numpy():
    backend = get_backend("numpy")
    assert (backend.name, backend.device, backend.xp) == ("numpy", "cpu", np)
    assert get_backend() is backend
    assert get_backend("numpy") is backend
    assert get_backend(backend) is backend


@pytest.mark.parametrize(
    ("name", "line"),
    [
        (
            "cupy",
            "backend 'cupy': No module named 'cupy'; install it with: "
            "pip install 'cupy-cuda12x[ctk]' (or 'cupy-cuda13x[ctk]' for a CUDA 13 driver)",
        ),
        ("dpnp", "backend 'dpnp': No module named 'dpnp'; install it with: pip install dpnp"),
    ],
)
def test_a_missing_library_is_one_line_with_the_command(unopened, name, line):
    without(unopened, name)
    with refuses(BackendError, line):
        get_backend(name)
    with refuses(BackendError, line):
        xbnet.Network([xbnet.Linear(2)], 3, backend=name)


class SilentCuda:
    """The cupy package on a machine without a GPU."""

    __version__ = "14.0"

    class cuda:
        @staticmethod
        def Device():
            return SilentCuda.cuda

        id = 0

        class runtime:
            @staticmethod
            def getDeviceProperties(device):
                raise RuntimeError("cudaErrorNoDevice: no CUDA-capable device is detected\nmore lines")


def test_a_missing_device_is_one_line(unopened):
    unopened.setattr(devices, "_import", lambda name: SilentCuda)
    line = (
        "backend 'cupy': CuPy 14.0 is installed, but no CUDA device answers (cudaErrorNoDevice: no CUDA-capable device "
        "is detected); check `nvidia-smi`, or use --backend numpy"
    )
    with refuses(BackendError, line):
        get_backend("cupy")


def test_a_missing_sycl_device_is_one_line(unopened):
    class SilentSycl:
        __version__ = "0.20"

        @staticmethod
        def empty(n):
            raise RuntimeError("")

    unopened.setattr(devices, "_import", lambda name: SilentSycl)
    unopened.setitem(sys.modules, "dpnp", SilentSycl)
    line = (
        "backend 'dpnp': dpnp 0.20 is installed, but no SYCL device answers (RuntimeError); "
        "install a driver for the device, or use --backend numpy"
    )
    with refuses(BackendError, line):
        get_backend("dpnp")


def test_auto_is_numpy_where_no_cuda_device_answers(unopened):
    without(unopened, "cupy")
    assert get_backend("auto").name == "numpy"
    unopened.setattr(devices, "_import", lambda name: SilentCuda)
    assert get_backend("auto").name == "numpy"


def test_unknown():
    with refuses(
        ConfigError, "get_backend: unknown backend 'nunpy'; did you mean 'numpy'? known are auto, cupy, dpnp, numpy"
    ):
        get_backend("nunpy")
    with refuses(
        ConfigError, "get_backend: unknown backend 'gpu'; did you mean 'cupy'? known are auto, cupy, dpnp, numpy"
    ):
        get_backend("gpu")
    with refuses(ConfigError, "get_backend: unknown backend 3; known are auto, cupy, dpnp, numpy"):
        get_backend(3)


def test_describe_backends_tells_what_to_do(unopened):
    without(unopened, "cupy", "dpnp")
    rows = {row["backend"]: row for row in module.describe_backends()}
    assert rows["numpy"] == {"backend": "numpy", "version": np.__version__, "device": "cpu", "hint": ""}
    for name in ("cupy", "dpnp"):
        assert rows[name]["device"] == ""
        assert devices.INSTALL[name] in rows[name]["hint"]


def test_asarray_makes_contiguous_arrays_of_the_type():
    backend, host = get_backend(), np.arange(12).reshape(3, 4)
    for strange in (host.T, host[:, ::2], np.asfortranarray(host), host.tolist()):
        there = backend.asarray(strange, "float32")
        assert there.flags.c_contiguous
        assert there.dtype == np.float32
        np.testing.assert_array_equal(there, strange)
    assert backend.to_host(host) is host


# -- CuPy, as far as it can be opened without a device ----------------------------------------------------------------


@pytest.fixture
def cupy(unopened):
    """The stand-in for the cupy package, with NumPy's memory."""
    stand_in = Cupy()
    unopened.setattr(devices, "_import", lambda name: stand_in)
    return stand_in


def test_cupy_without_cublas_warns_once_and_uses_matmul(cupy, monkeypatch):
    def missing(major):
        raise OSError(f"libcublas.so.{major}: not there")

    monkeypatch.setattr(devices, "load_library", missing)
    line = (
        r"^backend 'cupy': cuBLAS can't be used \(libcublas.so.12: not there\), so products go through cupy.matmul, "
        "which copies their operands and has no TF32 for stacks; install it with: pip install 'cupy-cuda12x"
    )
    with pytest.warns(UserWarning, match=line):
        backend = get_backend("cupy")
    assert get_backend("cupy") is backend
    assert backend.device == "stand-in"
    a = backend.asarray(np.ones((2, 3, 4)))
    out = backend.ops.bmm(a, backend.asarray(np.ones((2, 4, 5))), cupy.empty((2, 3, 5)))
    assert backend.to_host(out).tolist() == np.full((2, 3, 5), 4.0).tolist()


def test_cupy_with_a_cublas_that_the_driver_is_too_old_for(cupy, monkeypatch):
    library = Library()
    library.cublasCreate_v2.status = 1
    monkeypatch.setattr(devices, "load_library", lambda major: library)
    line = r"^backend 'cupy': cuBLAS can't be used \(.*cublasCreate failed with CUBLAS_STATUS_NOT_INITIALIZED.*\), so"
    with pytest.warns(UserWarning, match=line):
        assert not get_backend("cupy").ops.capturable


class Library:
    """Stands in for libcublas, and tells the compute types that it was asked for."""

    class Function:
        def __init__(self):
            self.seen, self.status = [], 0

        def __call__(self, *arguments):
            self.seen.append(arguments)
            return self.status

    def __init__(self):
        for name in ("Create_v2", "Destroy_v2", "SetStream_v2", "SetWorkspace_v2", "GemmStridedBatchedEx"):
            setattr(self, f"cublas{name}", self.Function())


def test_precision_is_a_setting_of_cupy(cupy, monkeypatch):
    libraries = []
    monkeypatch.setattr(devices, "load_library", lambda major: libraries.append(Library()) or libraries[-1])
    backends = [get_backend(name) for name in ("cupy", "cupy:precision=tf32", "cupy:precision=fp32")]
    assert [b.full_name for b in backends] == ["cupy", "cupy:precision=tf32", "cupy"]
    assert [b.name for b in backends] == ["cupy"] * 3
    assert backends[0] is backends[2]
    assert repr(backends[1]) == "Backend('cupy:precision=tf32', device='stand-in')"
    assert pickle.loads(pickle.dumps(backends[1])) is backends[1]
    for backend in backends[:2]:
        a = backend.asarray(np.ones((1, 2, 2)), "float32")
        backend.ops.bmm(a, a, cupy.empty((1, 2, 2), dtype="float32"))
    assert [library.cublasGemmStridedBatchedEx.seen[0][21] for library in libraries] == [68, 77]


def test_wrong_settings_of_a_backend():
    with refuses(
        ConfigError,
        "backend 'cupy': unknown parameter 'precison'; did you mean 'precision'? known are kernels, precision",
    ):
        get_backend("cupy:precison=tf32")
    with refuses(ConfigError, "backend 'cupy': expected precision 'fp32' or 'tf32', got 'bf16'"):
        get_backend("cupy:precision=bf16")
    with refuses(ConfigError, "backend 'cupy': expected kernels 'fused' or 'plain', got 'magic'"):
        get_backend("cupy:kernels=magic")
    with refuses(ConfigError, "backend 'numpy': takes no settings, got precision"):
        get_backend("numpy:precision=tf32")
