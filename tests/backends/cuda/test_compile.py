"""NVRTC compiles every kernel for real GPUs, without one; registers that are spilled to memory are few, and told."""

from pathlib import Path

import pytest

import xbnet.backends.cuda
from tests.support.devices import nvrtc
from tests.support.devices.catalogue import KERNELS, SPILLED
from xbnet.backends.cuda.launch import source_text

FOLDER = Path(xbnet.backends.cuda.__file__).parent


@pytest.fixture(scope="module")
def compiler():
    path = nvrtc.find_library()
    if path is None:
        pytest.skip("NVRTC is not installed; install it with: pip install nvidia-cuda-nvrtc-cu12")
    return nvrtc.Nvrtc(path)


def test_every_kernel_is_in_the_catalogue():
    assert {path.name for path in FOLDER.glob("*.cuh") if "KERNEL(" in path.read_text()} - {"phases.cuh"} == set(
        KERNELS
    )


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("source", KERNELS)
def test_it_compiles_and_spills_no_more_than_is_told(compiler, source, architecture):
    for name, report in compiler.compile(source_text(source), KERNELS[source], architecture).items():
        assert report.spilled <= SPILLED.get(source, 0), f"{name}: {report}"
        assert report.stack <= SPILLED.get(source, 0), f"{name}: {report}"


def test_an_error_is_told_with_its_line(compiler):
    with pytest.raises(RuntimeError, match='(?s)kernel.cu.*identifier "wobble" is undefined'):
        compiler.compile("__global__ void f() { wobble = 1; }", ["f"], "sm_90")


def test_spills_are_seen(compiler):
    """128 numbers that are all alive, in a kernel that may have 32 registers per thread."""
    text = """
    __global__ __launch_bounds__(1024, 2) void f(float* x) {
        float kept[128];
        _Pragma("unroll") for (int i = 0; i < 128; ++i) kept[i] = x[i * 1024 + threadIdx.x];
        __syncthreads();
        _Pragma("unroll") for (int i = 0; i < 128; ++i) x[(127 - i) * 1024 + threadIdx.x] = kept[i] * kept[127 - i];
    }"""
    assert compiler.compile(text, ["f"], "sm_90")["f"].spilled > 0
