"""The real cupy package as a dictionary: it imports without a GPU, and must know all that is asked of it."""

import ast
import inspect

import pytest

from tests.test_floors import FUNCTIONS, PACKAGE, UFUNCS, modules, nodes, vocabulary

cupy = pytest.importorskip("cupy")

ROOTS = {"cupy": "", "_cupy": "", "xp": "", "cuda": "cuda"}
"""What a chain of attributes begins with, after ``self.`` and the like -> where that is in cupy."""

# Object -> what is asked of it, with keywords: what can't be read off the chains of names.
METHODS = {
    "cuda.Stream": ["wait_event", "record", "synchronize", "begin_capture", "end_capture"],
    "cuda.Event": ["record", "synchronize"],
    "cuda.graph.Graph": ["launch"],
    "cuda.Device": ["id", "attributes", "mem_info"],
    "cuda.MemoryPool": ["free_bytes"],
    "cuda.MemoryPointer": ["ptr"],
    "RawModule": ["get_function"],
    "RawKernel": ["max_dynamic_shared_size_bytes"],
    "ndarray": [
        "all", "astype", "copy", "data", "dtype", "fill", "get", "itemsize", "nbytes", "ndim", "reshape", "set", "shape", "size",
        "strides", "sum", "swapaxes",
    ],
}  # fmt: skip
KEYWORDS = {
    "RawModule": {"code", "options", "name_expressions"},
    "cuda.Event": {"disable_timing"},
    "cuda.Stream": {"non_blocking"},
    "cuda.using_allocator": {"allocator"},
}


def chains(path):
    """Dotted names such as "cuda.runtime.getDevice", for all that a file asks of a thing called cupy or xp."""
    for node in nodes(path):
        parts = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            parts.append(node.id)
        parts.reverse()
        for k, part in enumerate(parts[:-1]):
            if part in ROOTS and not (part == "cuda" and k and parts[k - 1] in ROOTS):
                yield ".".join(filter(None, [ROOTS[part], *parts[k + 1 :]]))
                break


# There xp is whatever the user's arrays belong to.
ELSEWHERE = ("estimators.", "export.")
ASKED = sorted({c for name, path in modules() if not name.startswith(ELSEWHERE) for c in chains(path)} - {"asnumpy"})


def resolve(chain):
    found = cupy
    for name in chain.split("."):
        found = getattr(found, name)
    return found


def test_something_is_asked():
    assert {"cuda.runtime.getDevice", "cuda.get_current_stream", "cuda.alloc_pinned_memory", "multiply"} <= set(ASKED)
    assert len(ASKED) > 40


@pytest.mark.parametrize("chain", ASKED)
def test_every_name_is_there(chain):
    resolve(chain)


@pytest.mark.parametrize("owner", METHODS)
def test_every_method_is_there(owner):
    assert not [name for name in METHODS[owner] if not hasattr(resolve(owner), name)]


@pytest.mark.parametrize("owner", KEYWORDS)
def test_every_keyword_is_taken(owner):
    try:
        taken = inspect.signature(resolve(owner)).parameters
    except ValueError:  # compiled, without a signature
        assert all(keyword in resolve(owner).__doc__ for keyword in KEYWORDS[owner])
    else:
        assert KEYWORDS[owner] <= set(taken) or any(p.kind is p.VAR_KEYWORD for p in taken.values())


def test_ufuncs_take_out_and_functions_their_keywords():
    for word in set(vocabulary()) & UFUNCS:
        assert isinstance(getattr(cupy, word), cupy.ufunc), word
    for word, keywords in FUNCTIONS.items():
        if not isinstance(getattr(cupy, word), cupy.ufunc):
            assert keywords <= set(inspect.signature(getattr(cupy, word)).parameters), word


def test_the_whole_package_is_looked_through():
    assert (PACKAGE / "training" / "execution" / "graph.py").exists()
    assert {"cuda.Stream", "cuda.using_allocator", "cuda.get_current_stream"} <= set(
        chains(PACKAGE / "training" / "execution" / "graph.py")
    )
