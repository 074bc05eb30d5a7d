"""Digests of all that a sweep depends on: whether a folder holds the sweep that is to go on, and if not, why.

Code is digested too: a function by its bytecode, default values, what it closes over, and the functions, classes and
values of its own file that it refers to. What it imports from other files is known by name only.
"""

from __future__ import annotations

import functools
import hashlib
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ..backends.backend import get_backend
from ..version import __version__
from .build import Program
from .plan import Member

Fingerprint = dict[str, str]
"""Subject -> a digest, or a version in plain words."""

WORDS = {
    "space": "its space or settings differ",
    "halving": "its halving or sampler differs",
    "data": "its data differ",
    "layers": "its function of layers differs",
}


def fingerprint(program: Program, members: Iterable[Member], halving: Any = None) -> Fingerprint:
    """Return digests of everything that decides the results, and the versions that decide their last bits.

    Parameters
    ----------
    program, members
        Program and members of the sweep.
    halving
        Rule by which configurations leave, any object with attributes; None where none leaves.
    """
    pool, xp = program.pool, get_backend(program.backend).library
    rows = [
        (m.index, m.fold, m.weight_seed, m.order_seed, sorted(m.settings.items(), key=lambda item: item[0]))
        for m in members
    ]
    about = (program.monitor, program.backend, program.dtype, program.class_weight, pool.data.task)
    found = {
        "space": _digest((about, rows)),
        "halving": _digest(halving),
        "data": _digest([[(p.x, p.y) for _, p in pool.data.parts()], pool.folds, pool.sample_weight]),
        "xbnet": __version__,
        "numpy": np.__version__,
        "execution": program.execution,
    }
    if xp is not np:
        found[program.backend] = xp.__version__
    if program.layers is not None:
        found["layers"] = _digest(program.layers)
        found["python"] = f"{sys.version_info.major}.{sys.version_info.minor}"  # whose bytecode it is
    return found


def difference(before: object, now: Fingerprint) -> str | None:
    """Describe the difference, for people; None where there is no difference."""
    if not isinstance(before, Mapping):
        return "it was written by an older xbnet"
    for key in dict.fromkeys((*(key for key in now if key not in WORDS), *WORDS)):
        if before.get(key) != now.get(key):
            return WORDS.get(key) or f"it was made by {key} {before.get(key)}, and this is {now.get(key)}"
    return None


def _digest(value: object) -> str:
    digest = hashlib.sha256()
    for piece in _pieces(value, frozenset()):
        digest.update(len(piece).to_bytes(8, "little"))
        digest.update(piece)
    return digest.hexdigest()


def _pieces(value: object, above: frozenset[int]) -> Iterator[bytes]:
    """A value as a sequence of bytes, the same in every process. `above` are the values that it is a part of."""
    yield type(value).__qualname__.encode()
    if id(value) in above:
        return
    above |= {id(value)}
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
        yield repr(value).encode()
    elif isinstance(value, np.ndarray):
        yield repr((value.shape, value.dtype.str)).encode()
        yield np.ascontiguousarray(value).tobytes()
    else:
        for part in _parts(value):
            yield from _pieces(part, above)


def _parts(value: object) -> Iterable[Any]:
    """List the parts of a value."""
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    if isinstance(value, (list, tuple, range)):
        return list(value)
    if isinstance(value, types.CodeType):
        return [value.co_code, value.co_consts, value.co_names, value.co_varnames, value.co_freevars]
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_full(cell)]
        return [value.__code__, value.__defaults__, value.__kwdefaults__, cells, _referred(value)]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, type):
        return [value.__module__, value.__qualname__]
    if isinstance(value, (types.ModuleType, types.BuiltinFunctionType, np.ufunc)):
        return [value.__name__]
    call = getattr(type(value), "__call__", None)  # noqa: B004  it is the function that is wanted
    return [type(value), getattr(value, "__dict__", None), call if isinstance(call, types.FunctionType) else None]


def _is_full(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a function that is defined within another and refers to what comes later
        return False


def _referred(function: types.FunctionType) -> list[Any]:
    """List the objects that a function refers to by name: of its own file in full, of others by name."""
    found: list[Any] = []
    for name in sorted(_names(function.__code__)):
        if name not in function.__globals__:
            continue
        value = function.__globals__[name]
        own = getattr(value, "__module__", function.__module__) == function.__module__
        if isinstance(value, type):
            methods = [v for _, v in sorted(vars(value).items()) if isinstance(v, types.FunctionType)]
            found += [name, value, *(methods if own else [])]
        elif isinstance(value, types.FunctionType) and not own:
            found += [name, value.__module__, value.__qualname__]
        else:
            found += [name, value]
    return found


def _names(code: types.CodeType) -> set[str]:
    """Names in a function's code, and in that of functions within it."""
    inner = [const for const in code.co_consts if isinstance(const, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))
