"""An argparse parser whose complaints are one line, and whose flags can be given in a TOML file."""

from __future__ import annotations

import argparse
import difflib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import ConfigError, DataError, reason, unknown_name
from ..files import place

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

SYNONYMS = {
    "batch": "batch-size",
    "bs": "batch-size",
    "cuda": "backend cupy",
    "device": "backend",
    "early-stopping": "patience 10",
    "file": "data",
    "gpu": "backend cupy",
    "hidden-layer-sizes": "hidden",
    "label": "target",
    "layers": "hidden",
    "learning-rate": "lr",
    "learning-rate-init": "lr",
    "max-iter": "epochs",
    "n-epochs": "epochs",
    "optim": "optimizer",
    "output": "out",
    "random-state": "seed",
    "solver": "optimizer",
    "units": "hidden",
    "y": "target",
}
"""Other libraries' name of a flag -> its name here."""


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter):
    """Shows defaults, where there are any to show."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default in (None, False, []) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """Raises `ConfigError` instead of printing a page of usage; knows near misses of its flags."""

    def __init__(self, **settings: Any):
        settings.setdefault("formatter_class", HelpFormatter)
        super().__init__(allow_abbrev=False, **settings)

    def flags(self) -> dict[str, argparse.Action]:
        """Long flag without its dashes -> action."""
        return {
            option[2:]: action
            for action in self._actions
            for option in action.option_strings
            if option.startswith("--") and not option.startswith("--no-") and option != "--help"
        }

    def child(self, verb: str) -> Parser:
        """The parser of a verb."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction) and verb in action.choices:
                return action.choices[verb]
        raise unknown_name("xbnet", "verb", verb, self.verbs())

    def verbs(self) -> list[str]:
        """All verbs."""
        return [v for a in self._actions if isinstance(a, argparse._SubParsersAction) for v in a.choices]

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, with the nearest flag named for one that does not exist."""
        found, rest = self.parse_known_args(args, namespace)
        if not rest:
            return found
        verb = getattr(found, "verb", None)
        parser = self.child(verb) if verb else self
        near = parser.nearest(rest[0])
        hint = f"did you mean {near}?" if near else f"see `{parser.prog} --help`"
        raise ConfigError(f"{parser.where()}unknown argument {rest[0]!r}; {hint}")

    def _get_values(self, action: argparse.Action, arg_strings: list[str]) -> object:
        """As argparse's, which makes an empty list of ``--flag=--`` up to Python 3.12."""
        if action.option_strings and arg_strings == ["--"]:
            raise argparse.ArgumentError(action, "expected a value, got '--'")
        return super()._get_values(action, arg_strings)

    def nearest(self, word: str) -> str | None:
        """The flag that a word most likely stands for: what neighbours call so, a near miss, or the data's name."""
        flags = self.flags()
        if not word.startswith("-"):
            return f"--data {word}" if "data" in flags else None
        name = word.split("=")[0].strip("-").replace("_", "-").lower()
        known = SYNONYMS.get(name, "")
        if known.split(" ")[0] in flags:
            return f"--{known}"
        near = difflib.get_close_matches(name, list(flags), n=1)
        return f"--{near[0]}" if near else None

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would print."""
        if "invalid choice" in message and "VERB" in message:
            raise unknown_name("xbnet", "verb", message.split("'")[1], self.verbs())
        raise ConfigError(f"{self.where()}{message}; see `{self.prog} --help`")

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Write the help, without argparse's silence where nothing can be written."""
        (file or sys.stderr).write(message)

    def where(self) -> str:
        """The verb, in front of a complaint."""
        verb = self.prog.partition(" ")[2]
        return f"{verb}: " if verb else ""


TAKE_DATA = {("train",), ("sweep",), ("verify",), ("data", "show")}
"""Verbs whose first word, where it is no flag, names the data: `xbnet train gmm`."""


def name_data(argv: list[str]) -> list[str]:
    """The arguments, with ``--data`` in front of a data set's name that follows the verb."""
    for verb in TAKE_DATA:
        n = len(verb)
        if tuple(argv[:n]) == verb and argv[n : n + 1] and not argv[n].startswith("-"):
            return [*verb, f"--data={argv[n]}", *argv[n + 1 :]]
    return argv


LARGEST = 10**6
"""Bytes of a file of flags."""


def expand_config(argv: list[str], parser: Parser) -> list[str]:
    """Put the flags of ``--config FILE.toml`` in front of the others, which therefore win.

    FILE may be the folder of a run, or its model: its config.toml is meant. ``--resume DIR`` stands for
    ``--config DIR/config.toml --out DIR``.

    Raises
    ------
    DataError
        The file is missing or no TOML.
    ConfigError
        A key that is no flag of the verb.
    """
    path, resumed = _value_of("--config", argv), _value_of("--resume", argv)
    if (path is None and resumed is None) or not argv:
        return argv
    flags = parser.child(argv[0]).flags()
    words: list[str] = []
    if resumed is not None and "resume" in flags:
        if path is not None or _value_of("--out", argv) is not None:
            raise ConfigError("--resume DIR takes the flags and the folder of the run; leave out --config and --out")
        resumed = os.path.expanduser(_folder_of(resumed) or resumed)
        path, words = str(Path(resumed, "config.toml")), [f"--out={resumed}"]
    if path is None:
        return argv
    if resumed is not None and not Path(path).exists() and Path(resumed, "sweep.json").exists():
        raise ConfigError(
            f"--resume {resumed}: the sweep there was started in Python and has no flags; make the same call "
            "of xbnet.sweep again, with resume=True"
        )
    folder = resumed or _folder_of(path)
    if folder and resumed is None:
        path = str(Path(folder, "config.toml"))
    named = f"--config {path}" if resumed is None else f"--resume {resumed}: config.toml"
    if folder and place(path).exists() and not Path(path).is_file():  # a pipe would be waited for
        raise DataError(f"{named}: is not a file")
    for key, value in _read(path, named).items():
        name = key.replace("_", "-")
        if resumed is not None and name in ("out", "overwrite", "resume"):  # the run may have been moved
            continue
        if name not in flags or name == "config":
            raise unknown_name(path, "key", key, [flag for flag in flags if flag != "config"])
        words += _as_words(path, name, value, flags[name], _values_of(f"--{name}", argv))
    return [argv[0], *words, *argv[1:]]


def _folder_of(path: str) -> str | None:
    """The folder of a run, from itself or the model in it; None for another file."""
    if place(path).is_dir():
        return path
    return str(Path(path).parent) if Path(path).suffix == ".safetensors" else None


def _value_of(flag: str, argv: list[str]) -> str | None:
    """The value that a flag has on the command line."""
    return next(reversed(_values_of(flag, argv)), None)


def _values_of(flag: str, argv: list[str]) -> list[str]:
    """All values that a flag has on the command line."""
    values = []
    for i, word in enumerate(argv):
        if word == flag and i + 1 < len(argv):
            values.append(argv[i + 1])
        elif word.startswith(f"{flag}="):
            values.append(word.partition("=")[2])
    return values


def _read(path: str, named: str) -> dict[str, Any]:
    import tomllib  # most commands go without

    try:
        with open(place(path), "rb") as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise DataError(f"{named}: is not a file of flags: it has more than {LARGEST:,} bytes")
        return tomllib.loads(content.decode("utf-8-sig"))  # some editors put a mark in front
    except OSError as error:
        raise DataError(f"{named}: can't be read ({reason(error)})") from None
    except DataError:
        raise
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and null bytes in the path
        raise DataError(f"{named}: is not a TOML file ({reason(error)})") from None


def _as_words(path: str, name: str, value: Any, action: argparse.Action, given: list[str]) -> list[str]:
    """One key of the file as command-line words; entries of a table that the command line has `given` are left out."""
    if isinstance(value, bool):
        if action.nargs != 0:
            raise ConfigError(f"{path}: expected {name} to have a value, got {str(value).lower()}")
        return [f"--{name}"] if value else [f"--no-{name}"] if action.default is None else []
    if isinstance(action, argparse._AppendAction) and isinstance(value, list):
        return [] if given else [f"--{name}={one}" for one in value]
    if isinstance(action, argparse._AppendAction) and isinstance(value, str) and given:
        return []
    if isinstance(value, dict) and isinstance(action, argparse._AppendAction):
        known = {one.partition("=")[0].strip() for one in given}
        return [f"--{name}={key}={json.dumps(one)}" for key, one in _flat(value) if key not in known]
    if action.nargs == 0:
        raise ConfigError(f"{path}: expected {name} to be true or false, got {value!r}")
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if not isinstance(value, (str, int, float)):
        raise ConfigError(f"{path}: expected {name} to be a number, a text or a list, got {value!r}")
    return [f"--{name}={value}"]


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Entries of a table, those of tables within it under dotted keys."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
