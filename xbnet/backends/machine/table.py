"""The instructions of the machine, and what the columns of a line mean.

A line of a program is a row of whole numbers. Addresses are kept as a place in one of the memories that a replica has
(`Program.base`), and moved from step to step by `Program.step`.
"""

from __future__ import annotations

OP, MODE, N0, N1, K, OUT, OUT0, OUT1, A, A0, A1, B, B0, B1, C, C0, SHARE, WAIT = range(18)
"""Which instruction; its variant; sizes of both loops and of the sum in a product; for each operand its address, the
distance in bytes along the outer loop, and that in numbers along the inner one. In products all are in bytes, but in
`product_blas`, where OUT1, A1 and B1 are numbers from row to row. Where several threads play one replica, they take
lines by SHARE, and meet before a line where WAIT is 1."""
COLUMNS = 18
ADDRESSES = (OUT, A, B, C)

APART, IN_PLACE, BY_NUMBER, OF_NUMBER, IN_PLACE_BY_NUMBER, IN_SECOND, IN_SECOND_OF_NUMBER, STRIDED = range(8)
"""Modes: result and operands apart; the result is the first operand; the second is one number for the inner loop; the
first is; and so on. Strided: any distances."""

NAMES = (
    "copy", "negative", "abs", "square", "sign", "ceil", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sin", "cos",
    "add", "subtract", "multiply", "divide", "maximum", "minimum", "equal", "greater_equal", "where",
    "sum_inner", "sum_outer", "largest_inner", "largest_outer",
    "one_hot", "take", "gather", "gather_labels", "labels", "flags", "lookup", "lookup_gradient",
    "product_rows", "product_dots", "product_any", "product_blas",
    "tanh_gradient", "subtract_scaled", "relu_gradient", "bias_relu",
)  # fmt: skip
"""Names of the instructions, in the order of their numbers."""
NUMBER = {name: number for number, name in enumerate(NAMES)}
UNARY, BINARY = NAMES[:14], NAMES[14:22]
ALIASES = {"absolute": "abs", "copyto": "copy", "true_divide": "divide"}
"""Other names that NumPy has for them."""
KNOWN = {*UNARY, *BINARY, *ALIASES}
"""Functions of `xp` that the machine has an instruction for."""
