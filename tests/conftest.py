import gc
import os
import signal
import sys
import tempfile
from pathlib import Path

# Before any library is loaded: tests are small and run side by side, and threads of BLAS, PyTorch and scikit-learn that
# wait for each other cost more, a hundred times as much where others work on the machine.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ.get("OPENBLAS_NUM_THREADS", "1")
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import pytest
from hypothesis import settings

from tests.support.chance import REPORT  # its seed is drawn before there are other processes
from tests.support.pictures import put_down
from xbnet import BackendError, get_backend

gc.disable()  # until all tests are collected, see below

# Many tests start Python anew: without kept bytecode each compiles the package's 250 files again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell starts what runs in the background without Ctrl-C, and tests of interrupts would wait for ever.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# All processes of a run share the kernels that a C++ compiler has made; the first one removes them at its end.
if "XBNET_TEST_KERNELS" not in os.environ:
    _kernels = tempfile.TemporaryDirectory(prefix="xbnet-kernels-")
    os.environ["XBNET_TEST_KERNELS"] = _kernels.name

# The same examples in every run, so that a change is judged by what it changes; `--hypothesis-profile=explore` looks for
# new ones.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None)
settings.load_profile("fixed")


@pytest.fixture(params=["numpy", "dpnp", "cupy"])
def backend(request):
    """Each backend whose library is installed and finds a device; for the others the error says what is missing."""
    try:
        return get_backend(request.param)
    except BackendError as error:
        pytest.skip(str(error))


def pytest_report_header(config):
    return REPORT


def pytest_collection_finish(session):
    """What libraries and collected tests have made stays to the end: to look through it for garbage takes a tenth of all."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


@pytest.fixture(scope="module")
def undrawn():
    """Pictures are put together, but not drawn. It is what draws them."""
    figure = pytest.importorskip("matplotlib.figure").Figure
    with pytest.MonkeyPatch.context() as patched:
        real = figure.savefig
        patched.setattr(figure, "savefig", put_down)
        yield real


@pytest.fixture
def drawn(monkeypatch, undrawn):
    """For a test that looks at pictures, where others don't: they are drawn."""
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", undrawn)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real data sets, as XBNET_DATA_DIR or beside the checkout."""
    folder = os.environ.get("XBNET_DATA_DIR") or Path(__file__).parents[1].parent / "shared" / "data"
    if not Path(folder).is_dir():
        pytest.skip(f"real data are not in {folder}; set XBNET_DATA_DIR")
    return Path(folder)


@pytest.fixture
def real_file(real_data):
    """A function from a path inside the folder of real data to its full path; skips where it is absent."""

    def find(name: str) -> Path:
        path = real_data / name
        if not path.exists():
            pytest.skip(f"{path} is not there")
        return path

    return find
