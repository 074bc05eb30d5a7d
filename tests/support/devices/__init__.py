"""Devices that are not there. Each stand-in holds the code to something that the others can't, which is why they are not one.

- `fake_cupy`, the package: no array of the host beside one of the device, and no two accesses to memory in an order that
  streams and events don't give. It computes at once, so it can't show what a captured graph does later.
- `capturing`, streams and graphs: nothing is computed while steps are captured, and a replay uses the same memory again. It
  keeps a list of launches and no order of accesses, so it finds no race.
- `emulation`, the kernels: the CUDA sources as C++, threads in any order. It runs them on NumPy's own arrays, so it sees no
  access that nobody ordered, and `capturing` is built on it.
- `nvrtc`, the compiler: the same sources as a GPU's compiler takes them, with registers and spills. It runs nothing.
- `tests/backends/pretended`, the driver: the real CuPy, whose calls of CUDA's libraries end in a stand-in.
"""
