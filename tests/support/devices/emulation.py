"""The emulated device: NumPy's arrays, and the project's kernels through a C++ compiler."""

import functools
import os
from dataclasses import replace
from pathlib import Path

import pytest

from xbnet import BackendError, get_backend
from xbnet.backends.cuda.emulated import ORDERS, EmulatedLauncher
from xbnet.backends.cuda.ops import CudaOps


@functools.cache
def launcher(order=ORDERS[0]):
    """Runs kernels with threads and blocks in that order; skips the test where no C++ compiler is."""
    try:
        return EmulatedLauncher(
            order, folder=Path(os.environ["XBNET_TEST_KERNELS"]), optimize=False
        )  # of the whole run
    except BackendError as error:
        pytest.skip(str(error))


def backend(order=ORDERS[0]):
    """A backend whose kernels run on the host. Nothing of it is replayed: so it takes the way of a device."""
    plain, run = get_backend("numpy"), launcher(order)
    ops = CudaOps(run, plain.xp)
    return replace(plain, name="emulated", device="host", ops=ops, launcher=run, specialized={})
