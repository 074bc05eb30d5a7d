"""CUDA kernels, and what launches them: `launch` on a device, `emulated` with a C++ compiler."""
