"""A machine for CPUs: a step as a table of instructions, which one compiled function plays for a whole epoch.

`record` writes down what a step asks of its arrays, `lower` makes a program of it (with `memory` and `fusion`), and
`load` hands out the compiled function `play`, which knows the instructions of `kernels`, `products` and `functions`.
numba is imported by these four alone, when `load` is asked for the machine.
"""
