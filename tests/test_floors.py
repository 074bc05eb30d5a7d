"""The house rules: floors, file sizes, the core's vocabulary, a light import, and docstrings that hold."""

import ast
import doctest
import functools
import graphlib
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import xbnet
from tests.support.house import tree

PACKAGE = Path(xbnet.__file__).parent

# A room imports only from rooms on strictly lower floors. The modules of the ground, which lie beside the rooms, are one.
GROUND = ["errors", "files", "history", "notebook", "parsing", "plots", "progress", "replicas", "version"]
FLOORS = [
    GROUND,
    ["backends", "datasets"],
    ["nn"],
    ["optim", "io"],
    ["reports", "training"],
    ["sweeps", "verify"],
    ["estimators", "experiments"],
    ["__init__", "__main__", "cli", "train"],
]

CORE = [
    "backends/ops",
    "nn/activations",
    "nn/buffers",
    "nn/network",
    "optim/optimizer",
    "optim/optimizers",
    "optim/penalties",
    "optim/stages",
    "optim/strategies",
    "training/augmentation",
    "training/batches",
    "training/best",
    "training/evaluation",
    "training/loop",
    "training/step",
    "training/trainer",
    "training/validation",
    *(
        path.relative_to(PACKAGE).with_suffix("").as_posix()
        for room in ("layers", "losses")
        for path in (PACKAGE / "nn" / room).rglob("*.py")
    ),
]


def modules():
    """Dotted names below the package, with their files; "layers.__init__" for a folder's own text."""
    for path in sorted(PACKAGE.rglob("*.py")):
        yield ".".join(path.relative_to(PACKAGE).with_suffix("").parts), path


@functools.cache
def nodes(path):
    """All nodes of a file's syntax tree: several tests look at each."""
    return tuple(ast.walk(tree(path)))


@functools.cache
def imports(name, path):
    """The modules of the package that a file imports anywhere, in functions too, except for types only."""
    return tuple(imported(name, path))


def imported(name, path):
    here = name.split(".")[:-1]
    conditional = [node for node in nodes(path) if getattr(getattr(node, "test", 0), "id", 0) == "TYPE_CHECKING"]
    for_types = {node for condition in conditional for node in ast.walk(condition)}
    for node in nodes(path):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found = [alias.name.split(".")[1:] for alias in node.names if alias.name.split(".")[0] == "xbnet"]
        elif isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "xbnet"):
            dots = (node.module or "").split(".") if node.module else []
            base = here[: len(here) - node.level + 1] + dots if node.level else dots[1:]
            found = [[*base, alias.name] if is_module([*base, alias.name]) else base for alias in node.names]
        else:
            continue
        for parts in found:
            yield ".".join([*parts, "__init__"] if (PACKAGE / Path(*parts)).is_dir() else parts)


def is_module(parts):
    path = PACKAGE.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").exists()


FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}


def test_every_module_has_a_floor():
    assert {name.split(".")[0] for name, _ in modules()} <= set(FLOOR), "give the new module a floor in FLOORS"


def test_modules_import_only_from_lower_floors():
    edges = [(a, b) for a, path in modules() for b in imports(a, path)]
    heads = [(a, b, room(a), room(b)) for a, b in edges]
    assert not [f"{a} imports {b}" for a, b, over, under in heads if over != under and FLOOR[under] >= FLOOR[over]]


# Names that say from which room a thing is.
FROM = {"network": "nn", "layer": "nn", "loss": "nn", "optimizer": "optim", "penalty": "optim", "strategy": "optim"}
FROM |= {"trainer": "training", "recipe": "training", "estimator": "estimators"}


def test_no_room_looks_upward_behind_any():
    """A parameter that is anything to type checkers, and by its name a thing of a higher floor, is a hidden import.

    Only CUDA's operations are handed the loss or optimizer for which a kernel stands, and read its settings.
    """
    for name, path in modules():
        for node in nodes(path) if name != "backends.cuda.ops" else ():
            hidden = isinstance(node, ast.arg) and getattr(node.annotation, "id", "") == "Any" and node.arg in FROM
            assert not hidden or FLOOR[FROM[node.arg]] <= FLOOR[room(name)], f"{name}: say what {node.arg} is"


def room(name):
    head = name.split(".")[0]
    return "errors" if head in GROUND else "cli" if head in FLOORS[-1] else head


def test_imports_within_a_folder_have_no_cycle():
    """Nor across folders: a part that imports its folder's `__init__`, which imports the part, would be one."""
    graph = {name: set(imports(name, path)) for name, path in modules()}
    graphlib.TopologicalSorter(graph).prepare()


def test_only_the_backend_imports_cupy_and_dpnp():
    for name, path in modules():
        for node in nodes(path):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {n.split(".")[0] for n in names} & {"cupy", "cupyx", "dpnp", "dpctl"}, name


def test_the_core_imports_no_array_library_for_its_mathematics():
    """NumPy works on the host there: types, seeds and settings. Arrays come from `xp`."""
    for name in (
        "nn.activations",
        "backends.ops",
        "optim.penalties",
        "nn.buffers",
        "nn.layers.base",
        "nn.layers.linear",
        "nn.layers.residual",
    ):
        tree = nodes(PACKAGE / (name.replace(".", "/") + ".py"))
        used = {n.attr for n in tree if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "np"}
        host = {"dtype", "ndarray", "asarray", "all", "isfinite", "random", "Generator", "integer", "floating"}
        assert used <= host | ({"empty"} if name == "backends.ops" else set()), name


# -- the core's vocabulary ---------------------------------------------------------------------------------------------


def words(path):
    """All X of ``xp.X``, with the keywords they are called by."""
    spoken = {}
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and names_the_namespace(node.value):
            spoken.setdefault(node.attr, set())
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and names_the_namespace(node.func.value):
            spoken.setdefault(node.func.attr, set()).update(k.arg for k in node.keywords if k.arg)
    return spoken


def names_the_namespace(node):
    return getattr(node, "id", getattr(node, "attr", None)) == "xp"


def vocabulary():
    spoken = {}
    for name in CORE:
        for word, keywords in words(PACKAGE / f"{name}.py").items():
            spoken.setdefault(word, set()).update(keywords)
    return spoken


# What the three libraries have in common, read in their sources. A new word belongs here once it is known to exist in
# all of them, with `out=` where the core needs it.
UFUNCS = {
    "abs", "add", "ceil", "cos", "divide", "equal", "exp", "expm1", "greater_equal", "less", "log", "log1p",
    "maximum", "minimum", "multiply", "negative", "sign", "sin", "sqrt", "square", "subtract", "tanh",
}  # fmt: skip
FUNCTIONS = {
    "arange": set(),
    "argmax": {"axis", "out"},
    "asarray": {"dtype"},
    "broadcast_to": set(),
    "copyto": {"where"},
    "empty": {"dtype"},
    "full": {"dtype"},
    "matmul": {"out"},
    "ones": {"dtype"},
    "take": {"axis", "out"},
    "zeros": {"dtype"},
}


def test_the_core_speaks_the_written_dialect():
    spoken = vocabulary()
    assert len(spoken) > 20
    for word, keywords in spoken.items():
        assert word in UFUNCS or word in FUNCTIONS, f"xp.{word} is not in the dialect"
        assert keywords <= FUNCTIONS.get(word, {"out"}), f"xp.{word} is called with {keywords}"


@pytest.mark.parametrize("library", ["numpy", "dpnp", "cupy"])
def test_every_word_is_in_the_dictionary(library):
    """No device is needed: the real packages of cupy and dpnp import without one."""
    xp = pytest.importorskip(library)
    assert not [word for word in vocabulary() if not callable(getattr(xp, word, None))]
    if library == "cupy":
        assert all(isinstance(getattr(xp, word), xp.ufunc) for word in vocabulary() if word in UFUNCS)
        for word, keywords in FUNCTIONS.items():
            if not isinstance(getattr(xp, word), xp.ufunc):
                assert keywords <= set(inspect.signature(getattr(xp, word)).parameters), word


def test_the_core_never_waits_for_the_device():
    """No ``.item()``, ``float(array)`` by the way, or einsum in what runs within a step."""
    for name in ["nn/activations", "backends/ops", *(name for name in CORE if name.startswith("nn/layers/"))]:
        for node in nodes(PACKAGE / f"{name}.py"):
            assert getattr(node, "attr", "") not in {"item", "einsum", "asnumpy", "to_host"}, name


# -- the face ----------------------------------------------------------------------------------------------------------


HEAVY = [
    "matplotlib",
    "sklearn",
    "cupy",
    "dpnp",
    "scipy.io",
    "safetensors",
    "tqdm",
    "torch",
    "jax",
    "pandas",
    "pyarrow",
]


def test_import_is_light():
    code = f"import sys, xbnet; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=300
    )
    assert done.stdout.strip() == "[]"


def test_all_is_sorted_and_complete():
    """Sorted as ruff does it: constants, classes, functions; all public names that the package holds, and no others."""

    def kind(name):
        return 0 if name.isupper() else 1 if name[0].isupper() else 2

    assert sorted(xbnet.__all__, key=lambda name: (kind(name), name)) == xbnet.__all__
    assert all(getattr(xbnet, name) is not None for name in xbnet.__all__)
    for_types = next(node for node in nodes(PACKAGE / "__init__.py")[0].body if isinstance(node, ast.If))
    imported = {alias.name: node.module for node in for_types.body for alias in node.names if node.module}
    assert imported == xbnet.LATE, "type checkers see other names than Python"
    assert set(xbnet.LATE) - set(xbnet.__all__) == {
        "StackedHalvingSearchCV",
        "StackedOptunaSearchCV",
        "StackedSearchCV",
        "XBClassifier",
        "XBRegressor",
        "__version__",
    }


def test_parts_are_found_by_name_too():
    assert xbnet.history.PER_REPLICA
    with pytest.raises(AttributeError, match="^module 'xbnet' has no attribute 'wobble'$"):
        xbnet.wobble  # noqa: B018


def test_help_imports_little():
    """What makes `xbnet train --help` slow: whatever comes with servers, processes and logs."""
    code = "import sys\nfrom xbnet.cli import main\ntry: main(['train', '--help'])\nfinally: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parent, timeout=300
    )
    loaded = done.stdout.splitlines()[-1].split()
    late = {
        "xbnet.training.trainer",
        "xbnet.sweeps.run",
        "xbnet.verify",
        "multiprocessing",
        "logging",
        "socket",
        "threadpoolctl",
    }
    assert "xbnet.cli.train" in loaded
    assert not late & set(loaded)


WITH_EXAMPLES = [name.removesuffix(".__init__") for name, path in modules() if ">>> " in path.read_text()]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_in_docstrings_hold(name):
    failed, tried = doctest.testmod(importlib.import_module(f"xbnet.{name}"), optionflags=doctest.ELLIPSIS)
    assert tried
    assert not failed


def test_public_classes_and_functions_have_docstrings():
    silent = [name for name in xbnet.__all__ if callable(getattr(xbnet, name)) and not getattr(xbnet, name).__doc__]
    assert not silent
