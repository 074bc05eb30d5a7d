"""Counts of the house: how much a reader has to hold in the head. ``python -m tests.support.house`` prints them."""

import ast
import functools
import io
import sys
import tokenize
from pathlib import Path

import numpy as np

import xbnet
from xbnet.training.step import BoundStep

PACKAGE = Path(xbnet.__file__).parent
ROOMS = ("backends", "nn", "optim", "training")
BESIDE = {
    "what makes NumPy quicker, and other devices": (
        *("backends/blas", "backends/numpy_ops", "backends/proxies", "backends/replay", "backends/machine"),
        *("backends/devices", "backends/cublas", "backends/cublas_plan", "backends/cuda", "training/execution"),
        *("nn/passes", "training/riding"),
    ),
    "whether something fits into memory, and data that do not, or are sparse": (
        *("backends/memory", "nn/memory", "training/memory", "training/streaming", "training/sparse"),
    ),
    "runs that go on": ("training/state", "training/checkpoints"),
    "who watches a run": ("training/callbacks", "training/conditions", "training/tensorboard"),
    "other entrances than `fit`": (
        *("training/loop", "training/evaluation", "training/rates", "training/tables", "training/chance"),
    ),
    "what commands and notebooks say": ("backends/available", "nn/summary"),
    "layers and activations of the catalogue that came with tables, and weights of classes": (
        *("nn/layers/tables", "nn/sharing", "nn/gates", "nn/class_weights"),
    ),
}
"""Why -> what is no part of the evening core: that is all else in the rooms of `ROOMS`, which is what `fit` on NumPy needs."""


def sources():
    """All files of the package: Python's and CUDA's."""
    return sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.cuh"), *PACKAGE.rglob("*.c")])


def name_of(path):
    return str(path.relative_to(PACKAGE))


def lengths():
    """File -> lines."""
    return {name_of(path): len(path.read_text().splitlines()) for path in sources()}


@functools.cache
def tree(path):
    return ast.parse(path.read_text())


def declared(node):
    """Attributes of a class that have a type and no value, unless Python makes the class of them, so that they run."""
    about = " ".join(map(ast.unparse, [*node.bases, *node.decorator_list]))
    if any(word in about for word in ("NamedTuple", "dataclass", "Protocol", "TypedDict")):
        return []
    return [inner for inner in node.body if isinstance(inner, ast.AnnAssign) and inner.value is None]


def code_lines(path):
    """Lines that hold code: no docstrings, comments, blank lines, or declarations of types.

    A `Protocol`, a `TypedDict`, whatever stands under ``if TYPE_CHECKING:`` and a class's attributes that have a type and no
    value say what is there; nothing of them runs. The fields of a dataclass do: they make its constructor.
    """
    text = path.read_text()
    lines = set()
    skip = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in skip:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(tree(path)):  # a text by itself documents what stands before it
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            lines.difference_update(range(node.lineno, node.end_lineno + 1))
        for inner in declared(node) if isinstance(node, ast.ClassDef) else ():
            lines.difference_update(range(inner.lineno, inner.end_lineno + 1))
        bases = [ast.unparse(base) for base in getattr(node, "bases", ())]
        guarded = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if guarded or {"Protocol", "TypedDict"} & set(bases):
            lines.difference_update(range(node.lineno, (node.body[-1] if guarded else node).end_lineno + 1))
    return len(lines)


def evening_core():
    """Files of the evening core, with their lines of code."""
    beside = tuple(f"{name}/" for names in BESIDE.values() for name in names)
    paths = sorted(path for room in ROOMS for path in (PACKAGE / room).rglob("*.py"))
    inside = {path: f"{path.relative_to(PACKAGE).with_suffix('').as_posix()}/" for path in paths}
    return {name_of(path): code_lines(path) for path in paths if not inside[path].startswith(beside)}


def top_level():
    """Names next to each other in the package."""
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    return sorted(modules | {path.parent.name for path in PACKAGE.glob("*/__init__.py")})


def imports_between():
    """Pairs of names at the top level, of which the first imports the second, in functions and for types too."""
    pairs = set()
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = parts[: len(parts) - node.level]
                whole = [*base, *(node.module or "").split(".")] if node.module else list(base)
                for target in [whole[0]] if whole else [alias.name for alias in node.names]:
                    if target != parts[0]:
                        pairs.add((parts[0], target))
    return pairs


def any_annotations():
    """How many parameters, and how many of the results, are annotated `Any` and nothing else.

    Without what numba compiles, which gives its arguments types of its own.
    """
    parameters = results = 0
    for path in set(PACKAGE.rglob("*.py")) - set((PACKAGE / "backends" / "machine").glob("*.py")):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef):
                every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
                parameters += sum(getattr(a.annotation, "id", "") == "Any" for a in every)
                results += getattr(node.returns, "id", "") == "Any"
    return parameters, results


def seen_in(function):
    """Files of the package of which code runs in a call, and the functions there."""
    files, functions = set(), set()

    def look(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(str(PACKAGE)):
            files.add(name_of(Path(code.co_filename)))
            functions.add(code.co_qualname.removesuffix(".<locals>.<genexpr>"))

    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(None)
    return files, functions


def one_step():
    """Files of which code runs while `fit` trains on one batch, call by call."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(8, 4)), np.arange(8) % 3
    network = xbnet.Network([xbnet.Linear(5, "tanh"), xbnet.Linear(3)], 4, rng=0)
    seen, run = [], BoundStep.run

    def spied(*arguments):
        seen.append(seen_in(lambda: run(*arguments)))

    BoundStep.run = spied
    try:
        xbnet.fit(network, "cross_entropy", "sgd", (x, y), epochs=1, batch_size=4, execution="eager", progress=False)
    finally:
        BoundStep.run = run
    return seen[-1][0]


def one_forward():
    """The functions called in a forward pass, beyond the calls that make buffers the first time."""
    network = xbnet.Network([xbnet.Linear(5, "tanh"), xbnet.Linear(3)], 4, rng=0)
    x = np.ones((1, 8, 4), np.float32)
    network.forward(x, training=True)
    return seen_in(lambda: network.forward(x, training=True))[1]


def places_of(layer):
    """Files of the package that name a built-in layer, without those that build networks of it."""
    users = ("nn/mlp", "experiments", "estimators", "sweeps", "cli", "io/joining")
    found = []
    for path in (path for path in PACKAGE.rglob("*.py") if layer in path.read_text()):
        name = name_of(path)
        named = any(getattr(n, "id", getattr(n, "name", "")) == layer for n in ast.walk(tree(path)))
        listed = any(isinstance(n, ast.Constant) and n.value == layer for n in ast.walk(tree(path)))
        if (named or listed) and not name.startswith(users):
            found.append(name)
    return sorted(found)


def counts():
    """Name -> count, of all that is held small."""
    from tests.test_floors import FLOORS

    lines, core, (parameters, results) = lengths(), evening_core(), any_annotations()
    return {
        "names at the top level": len(top_level()),
        "imports between them": len(imports_between()),
        "floors": len(FLOORS),
        "files": len(lines),
        "lines": sum(lines.values()),
        "files over 300 lines": [f"{name} {n}" for name, n in lines.items() if n > 300],
        "files of the evening core": len(core),
        "lines of code of the evening core": sum(core.values()),
        "attributes declared beside them": sum(
            len(declared(node))
            for name in core
            for node in ast.walk(tree(PACKAGE / name))
            if isinstance(node, ast.ClassDef)
        ),
        "files of a step": sorted(one_step()),
        "functions of a forward pass": sorted(one_forward()),
        "files that a built-in layer touches": places_of("Scale"),
        "parameters annotated Any": parameters,
        "results annotated Any": results,
    }


if __name__ == "__main__":
    for name, value in counts().items():
        if isinstance(value, list):
            print(f"{name:<40}{len(value):>8}  {', '.join(value)}")
        else:
            print(f"{name:<40}{value:>8,}")
