"""Functions that numba compiles: each instruction by itself, for float32 or float64, and the loop that plays programs.

Only the instructions that a program needs are compiled, when it needs them, and each is kept on disk.
"""

from __future__ import annotations

from types import FunctionType
from typing import Any

from llvmlite import ir
from numba import cfunc, njit, types
from numba.core import cgutils

from . import angles, gathers, products
from . import kernels as do
from .functions import lowered
from .kernels import FAST
from .table import ADDRESSES, COLUMNS, NAMES, OP, SHARE, WAIT

INSTRUCTIONS: tuple[Any, ...] = (
    do.copy, do.negative, do.absolute, do.square, do.sign, do.ceil, do.sqrt, do.exp, do.expm1, do.log, do.log1p,
    do.tanh, angles.sine, angles.cosine,
    do.add, do.subtract, do.multiply, do.divide, do.maximum, do.minimum, do.equal, do.greater_equal, do.where,
    do.sum_inner, do.sum_outer, do.largest_inner, do.largest_outer,
    gathers.one_hot, gathers.take, gathers.gather, gathers.gather_labels, gathers.labels, gathers.flags, gathers.lookup,
    gathers.lookup_gradient,
    products.product_rows, products.product_dots, products.product_any, products.product_blas,
    do.tanh_gradient, do.subtract_scaled, do.relu_gradient, do.bias_relu,
)  # fmt: skip
"""What does the instructions' work, in the order of `table.NAMES`."""

OPTIONS: dict[str, Any] = {key: FAST[key] for key in ("fastmath", "error_model")}


def make_entry(op: int, t: Any, digest: str, kept: bool) -> Any:
    """An instruction as a C function of a pointer to its line, for numbers of the type of t.

    `digest` stands for all that decides about the code, see `load`: in the function's name, which becomes that of its
    files, it keeps versions and processors apart on disk.
    """

    def entry(q: Any) -> None:
        instruction(q, t)  # type: ignore[name-defined]  # noqa: F821

    # A global of its own, and not a variable around it: numba would write that into its index, by an address in memory.
    own: Any = FunctionType(entry.__code__, {**globals(), "instruction": INSTRUCTIONS[op]}, closure=entry.__closure__)
    own.__qualname__ = f"{NAMES[op]}_{type(t).__name__}_{digest}"  # see `kernels.named`
    compiled: Any = cfunc(types.void(types.CPointer(types.int64)), cache=kept, **OPTIONS)
    return compiled(own)


@lowered
def call(typingctx: Any, line: Any) -> Any:
    """Let the instruction whose address stands in the column OP of a line, itself an address, do its work."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        word = ir.IntType(64)
        pointer = builder.inttoptr(arguments[0], word.as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [word.as_pointer()])
        builder.call(builder.inttoptr(builder.load(pointer), kind.as_pointer()), [pointer])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@lowered
def arrive(typingctx: Any, counter: Any) -> Any:
    """Add one to the number at an address, which several threads do."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(types.int64), codegen


@lowered
def arrived(typingctx: Any, counter: Any) -> Any:
    """The number at an address, to which other threads add."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(pointer, "acquire", 8)

    return types.int64(types.int64), codegen


@lowered
def give_way(typingctx: Any) -> Any:
    """Let another thread of the machine run on this core."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
        return context.get_dummy_value()

    return types.void(), codegen


ARGUMENTS: Any = (*(types.Array(types.int64, 2, "C"),) * 4, types.int64, types.Array(types.int64, 2, "C"))
ARGUMENTS += (types.Array(types.int64, 1, "C"), *(types.int64,) * 8)
"""Types of what `play` gets."""

SPINS = 1 << 12
"""How often a thread that waits for others looks before it lets others run."""


def make_play(digest: str, kept: bool) -> Any:
    """The machine itself: it knows lines and addresses, and no type of numbers."""
    options: dict[str, Any] = {"cache": kept, "nogil": True, "no_cfunc_wrapper": True}
    compiled: Any = njit(types.void(*ARGUMENTS), **options)

    def play(
        lines: Any, base: Any, step: Any, moving: Any, once: Any, bases: Any, entries: Any, own: Any, each: Any,
        first: Any, last: Any, steps: Any, rank: Any, threads: Any, counter: Any,
    ) -> None:  # fmt: skip
        n, met = lines.shape[0], 0
        now = lines.copy()
        at = now.ctypes.data
        for r in range(first, last):
            for line in range(n):
                now[line, OP] = entries[lines[line, OP]]
                for j in range(4):
                    place = ADDRESSES[j]
                    of = base[line, j]
                    now[line, place] = lines[line, place] + (own + r * each if of == 0 else bases[r, of])
            for s in range(steps):
                for line in range(once if s else 0, n):
                    if threads > 1:
                        if lines[line, WAIT]:
                            met += threads
                            arrive(counter)
                            spins = 0
                            while arrived(counter) < met:
                                spins += 1
                                if spins > SPINS:
                                    give_way()
                        if lines[line, SHARE] % threads != rank:
                            continue
                    call(at + line * COLUMNS * 8)
                for m in range(moving.shape[0]):
                    line, j = moving[m, 0], moving[m, 1]
                    now[line, ADDRESSES[j]] += step[line, j]

    play.__qualname__ = f"play_{digest}"
    return compiled(play)
