"""Flags for tables, and the settings of `xbnet train` that a table has of its own where nobody says otherwise."""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..training import tables as usual

if TYPE_CHECKING:  # imported where they are used: so the help comes quickly
    from ..datasets import Dataset

DEFAULTS: dict[str, Any] = {
    **{"scaling": "none", "epochs": 100, "hidden": (10, 7), "activation": "tanh", "dropout": 0.0},
    **{"optimizer": "sgd", "schedule": "constant", "l2": 0.0, "members": 1},
}
"""Values of flags that are not given."""
OF_TABLES: dict[str, Any] = {
    **{"scaling": "standard", "val": usual.VALIDATION, "patience": usual.PATIENCE, "epochs": usual.EPOCHS},
    **{"hidden": usual.HIDDEN, "members": usual.MEMBERS, "activation": usual.ACTIVATION, "optimizer": "adam"},
    **{"lr": usual.LEARNING_RATE, "schedule": usual.SCHEDULE, "l2": usual.L2},
}
"""The same for tables."""
COLUMNS = ("drop", "columns", "categorical", "numeric", "id")


def add_table_arguments(group: Any) -> None:
    """Which columns, and how text is written."""
    for flag, text in (
        ("--drop", "columns to leave out"),
        ("--columns", "columns to use as inputs; by default all but the target"),
        ("--categorical", "numeric columns to treat as categories: codes, zips, years"),
        ("--numeric", "columns to read as numbers"),
        ("--id", "columns that identify the rows: no inputs, copied to the predictions"),
    ):
        group.add_argument(flag, action="append", metavar="COLUMN,..", help=f"{text} (tables)")
    group.add_argument(
        "--one-hot", type=int, metavar="N",
        help="learn a vector per value for categories with more than N values, instead of one input per value (tables)",
    )  # fmt: skip
    group.add_argument(
        "--no-header", dest="header", action="store_false", default=None, help="the first line holds data, not names"
    )
    group.add_argument("--header", action="store_true", default=None, help=argparse.SUPPRESS)
    group.add_argument(
        "--delimiter", metavar="CHAR", help="character between the columns of a text table; detected by default"
    )
    group.add_argument("--decimal", metavar="CHAR", help="decimal point of a text table, . or ,; detected by default")
    group.add_argument(
        "--missing", metavar="WHAT", help="fill (the default) or refuse: how to treat missing values of a table"
    )


def is_table_of(args: argparse.Namespace) -> bool:
    """Whether `--data` is a table: a text file, Parquet, or Arrow."""
    from ..datasets.load import NAMES
    from ..datasets.tables import is_table_file

    return args.data not in NAMES and is_table_file(args.data)


def settle(args: argparse.Namespace) -> list[str]:
    """Put defaults where a flag was not given; the flags that a table changed, for people."""
    table = is_table_of(args)
    own = dict(OF_TABLES) if table else {}
    if getattr(args, "optimizer", None) is not None:
        own.pop("lr", None)  # it is that of the other optimizer
    if asks_for_networks(args):
        own.pop("members", None)
    taken = [key for key in own if getattr(args, key, None) is None]
    for key, value in (DEFAULTS | own).items():
        if getattr(args, key, None) is None:
            setattr(args, key, value)
    return taken


def asks_for_networks(args: argparse.Namespace) -> bool:
    """Whether the flags say which networks there shall be: then there are no others."""
    several = getattr(args, "replicas", 1) > 1
    other = getattr(args, "residual", 0) or getattr(args, "batch_norm", False)
    return several or bool(other) or getattr(args, "hidden", None) is not None


def settle_batch_size(args: argparse.Namespace, data: Dataset) -> None:
    """Put a number where --batch-size is auto for a table."""
    if getattr(args, "batch_size", None) == "auto" and is_table_of(args):
        args.batch_size = usual.batch_size(len(data.train))


def told(args: argparse.Namespace, taken: Sequence[str]) -> str:
    """Describe in words the effect of a table's defaults, and how each is switched off."""
    words = {
        "scaling": "inputs scaled (--scaling none)",
        "val": f"{OF_TABLES['val']:.0%} of the rows kept for validation (--val none)",
        "patience": "stops early (--patience none)",
        "members": f"{OF_TABLES['members']} networks that become one (--members 1)",
    }
    if getattr(args, "sharing", "none") != "none":
        words["members"] = f"{OF_TABLES['members']} members that share weights (--members N)"
    found = [text for key, text in words.items() if key in taken and getattr(args, key)]
    return f"defaults of tables: {', '.join(found)}" if found else ""


def table_options(args: argparse.Namespace) -> dict[str, Any]:
    """Keyword arguments of `load_dataset` for a table; none for what is not a table."""
    given: dict[str, Any] = {
        key: getattr(args, key, None) for key in (*COLUMNS, "one_hot", "header", "delimiter", "decimal", "missing")
    }
    given = {key: value for key, value in given.items() if value is not None}
    if not is_table_of(args):
        if given:
            flag = next(iter(given))
            flag = "no-header" if flag == "header" else flag.replace("_", "-")
            raise ConfigError(f"{args.data}: expected no --{flag}, for only tables have named columns")
        return {}
    for key in COLUMNS:
        if key in given:
            given[key] = names_in(args, [text for text in given[key] if text.strip()])  # --drop "$UNSET" drops nothing
    if "id" in given:
        given["ids"] = given.pop("id")
    return given


def target_of(args: argparse.Namespace) -> str | list[str] | None:
    """Return the target: the name of a column, or of several."""
    if not args.target:
        return None
    names = names_in(args, args.target) if is_table_of(args) else list(args.target)
    return names if len(names) > 1 else names[0]


def names_in(args: argparse.Namespace, texts: Sequence[str]) -> list[str]:
    """The names of columns in texts; the table is opened only where a text may hold several."""
    plain = all(text == text.strip() and not set(text) & set(',"') for text in texts)
    return list(texts) if plain else split_names(texts, columns_of(args))


def columns_of(args: argparse.Namespace) -> Sequence[str]:
    """The names in a table's header."""
    from ..datasets.tables import open_table

    return open_table(args.data, delimiter=args.delimiter, header=args.header is not False).columns


def split_names(texts: Sequence[str], known: Sequence[str]) -> list[str]:
    """``a,b`` -> a and b; a text that is a name as a whole is one, and names with commas may be quoted.

    Examples
    --------
    >>> split_names(["age,zip", "income, yearly"], ["age", "zip", "income, yearly"])
    ['age', 'zip', 'income, yearly']
    """
    found: list[str] = []
    for text in texts:
        found += [text] if text in known else [name.strip() for name in next(csv.reader([text], skipinitialspace=True))]
    return found
