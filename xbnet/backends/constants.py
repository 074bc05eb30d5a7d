"""Numbers and names that the activations' text and CUDA's kernels share; the launcher prints them into the source."""

from __future__ import annotations

import math

ACTIVATIONS = ("identity", "relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softplus", "selu", "mish")
"""Activations that kernels have: a kernel gets an index into this tuple."""
LEAK = 0.01
"""Slope of the leaky ReLU below 0."""
GELU_C, GELU_A = math.sqrt(2 / math.pi), 0.044715
"""Constants of GELU in its tanh form."""
GELU_FAR = 32.0
"""Farther out GELU's tanh is 1 or -1 in every type."""
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Constants of SELU: with them means of 0 and variances of 1 are preserved from layer to layer."""


def cuda_text() -> str:
    """The same in C++."""
    names = ", ".join(name.upper() for name in ACTIVATIONS)
    numbers = {"LEAK": LEAK, "GELU_C": GELU_C, "GELU_A": GELU_A, "GELU_FAR": GELU_FAR}
    numbers |= {"SELU_ALPHA": SELU_ALPHA, "SELU_SCALE": SELU_SCALE}
    values = ", ".join(f"{name} = {value!r}" for name, value in numbers.items())
    return f'#line 1 "constants.py"\nenum Function {{ {names} }};\nconstexpr double {values};\n'
