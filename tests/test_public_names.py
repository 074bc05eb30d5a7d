"""Every public name says what it takes and gives, and shows an example, which runs in `test_floors`."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

import xbnet

PAGE = Path(__file__).parents[1] / "docs" / "api" / "modules.rst"
LATE = set(xbnet.LATE) - set(xbnet.__all__) - {"__version__"}


def test_type_checkers_are_told_that_there_are_types():
    """What they see is in `tests/typed.py`, which mypy reads."""
    assert Path(xbnet.__file__).with_name("py.typed").exists()


def named():
    """Dotted name -> class or function: what `xbnet` names, and what the API's pages name beyond that."""
    names = [f"xbnet.{name}" for name in [*xbnet.__all__, *sorted(LATE)]]
    names += re.findall(r"^   (xbnet[\w.]+)$", PAGE.read_text(), re.MULTILINE)
    found = {}
    for name in names:
        room, _, last = name.rpartition(".")
        try:
            value = getattr(importlib.import_module(room), last)
        except ImportError:  # scikit-learn is an extra
            continue
        if callable(value):
            found[name] = value
    return found


NAMED = named()


def sections(thing):
    """Title -> text of the sections of numpydoc that a docstring has."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}\n", inspect.getdoc(thing) or "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def arguments(thing):
    try:
        return [p.name for p in inspect.signature(thing).parameters.values() if p.name != "self"]
    except ValueError:  # errors, which take a text
        return []


def explained(text):
    """Names in the lines of a table of parameters that are not indented."""
    heads = re.findall(r"^(?! )(.+)$", text, re.MULTILINE)
    return {name.strip("* ") for head in heads for name in head.partition(" : ")[0].split(",")}


@pytest.mark.parametrize("name", NAMED)
def test_every_argument_is_explained(name):
    told = sections(NAMED[name])
    table = told.get("Parameters", "") + told.get("Attributes", "")  # dataclasses explain their fields
    assert set(arguments(NAMED[name])) <= explained(table)


@pytest.mark.parametrize("name", NAMED)
def test_every_name_has_an_example(name):
    assert ">>> " in sections(NAMED[name]).get("Examples", "")


@pytest.mark.parametrize("name", [name for name in NAMED if inspect.isfunction(NAMED[name])])
def test_every_function_says_what_it_returns(name):
    result = inspect.signature(NAMED[name]).return_annotation
    assert result in (None, "None") or "Returns" in sections(NAMED[name])


def methods():
    """Dotted name -> public method that a public class defines itself; an override is explained where it comes from."""
    for name, kind in NAMED.items():
        for key, value in vars(kind).items() if inspect.isclass(kind) else ():
            value = getattr(value, "__func__", value)  # of class methods and static ones
            inherited = any(key in vars(base) for base in kind.__mro__[1:])
            if inspect.isfunction(value) and not key.startswith("_") and not inherited:
                yield f"{name}.{key}", value


METHODS = dict(methods())


def unexplained(method):
    """Arguments that are neither in a table nor followed by their shape or meaning in brackets; "Returns" if it lacks."""
    told = sections(method)
    named = explained(told.get("Parameters", "")) | set(re.findall(r"(\w+)`? \(", inspect.getdoc(method) or ""))
    wanting = set(arguments(method)) - named - {"cls", "network"}  # `Network.predict` is a function of one
    silent = "Parameters" in told and inspect.signature(method).return_annotation not in (None, "None")
    return wanting | ({"Returns"} if silent and "Returns" not in told else set())


def test_every_method_explains_its_arguments():
    assert len(METHODS) > 150
    assert not {name: missing for name, method in METHODS.items() if (missing := unexplained(method))}


def test_what_is_not_explained_is_noticed():
    def draw(n, m, *, seed):
        """Draw.

        Parameters
        ----------
        n, m
            Sizes.
            seed
        """

    assert set(arguments(draw)) - explained(sections(draw)["Parameters"]) == {"seed"}
    assert unexplained(draw) == {"seed", "Returns"}  # it has no annotation, and may return anything
