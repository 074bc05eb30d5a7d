"""Devices that are not there: pretended CuPy, emulated kernels, captured graphs."""
