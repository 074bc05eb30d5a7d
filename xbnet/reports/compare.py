"""`compare`: the settings in which runs differ, their figures, and their curves over each other."""

from __future__ import annotations

import errno
import json
import math
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, DataError, printable
from ..files import place
from ..plots import curves
from .page import OnPage, Page

FIGURES = (
    "epochs", "best_epoch", "status", "seconds", "train_loss", "val_loss", "test_loss", "train_accuracy",
    "val_accuracy", "test_accuracy", "val_r2", "test_r2", "val_rmse", "test_rmse", "parameters",
)  # fmt: skip
"""Figures of a run's result.json that are compared, those that are there."""

LARGEST = 1e300
"""Larger figures are not drawn: matplotlib has no room for an axis around them."""


@dataclass
class Comparison(OnPage):
    """A comparison of runs.

    Attributes
    ----------
    runs
        Names of their folders.
    settings
        Name -> the value in each run, for the settings in which they differ; None where a run has none.
    figures
        Name -> the figure of each run.
    picture
        A matplotlib figure with their curves.
    """

    runs: list[str]
    settings: dict[str, list[Any]]
    figures: dict[str, list[Any]]
    picture: Any
    page: Page = field(repr=False)

    def __str__(self) -> str:
        settings, figures = _rows(self.settings, "(default)"), _rows(self.figures, "-")
        texts = [self.runs, *(row[1:] for row in settings + figures)]
        width = max(12, *(len(text) for row in texts for text in row)) + 2
        lines = [" " * 22 + "".join(f"{run:>{width}}" for run in self.runs)]
        for title, rows in (("settings that differ", settings), ("figures", figures)):
            lines.append(title)
            lines += [f"  {name:<20}" + "".join(f"{text:>{width}}" for text in row) for name, *row in rows]
        return "\n".join(lines)


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Compare runs of ``xbnet train --out``.

    Parameters
    ----------
    runs
        Two folders or more.

    Returns
    -------
    Comparison
        Print it, or `save` it as a page.

    Raises
    ------
    ConfigError
        Fewer than two runs.
    DataError
        A folder that holds no run.

    Examples
    --------
    >>> import tempfile, xbnet
    >>> from xbnet.cli import main
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for lr in ("0.1", "0.01"):
    ...         train = ["train", "--data", "gmm", "--epochs", "1", "--quiet", "--batch-size", "1000"]
    ...         code = main([*train, "--lr", lr, "--out", f"{folder}/lr-{lr}"])
    ...     print(compare([f"{folder}/lr-0.1", f"{folder}/lr-0.01"]))
                                  lr-0.1       lr-0.01
    settings that differ
      lr                             0.1          0.01
    ...
    """
    folders = [place(run) for run in runs]
    if len(folders) < 2:
        raise ConfigError(f"compare: expected two runs or more, got {len(folders)}")
    settings = [_read(folder, "config.toml", lambda text: _table(tomllib.loads(text))) for folder in folders]
    results = [_read(folder, "result.json", lambda text: _table(json.loads(text))) for folder in folders]
    histories = [_read(folder, "history.jsonl", _epochs) for folder in folders]
    names = _names(folders)
    keys = dict.fromkeys(key for one in settings for key in one if key not in ("out", "quiet", "json"))
    differing = {key: [one.get(key) for one in settings] for key in keys}
    differing = {key: values for key, values in differing.items() if any(v != values[0] for v in values)}
    figures = {key: [one.get(key) for one in results] for key in FIGURES}
    figures = {key: values for key, values in figures.items() if any(v is not None for v in values)}
    picture = _curves(names, histories)
    page = Page("Runs compared: " + ", ".join(names))
    page.section(
        "Settings that differ",
        page.table(("setting", *names), _rows(differing, "(default)")) if differing else "",
    )
    page.section("Metrics", page.table(("metric", *names), _rows(figures, "-")))
    page.section("Curves", page.picture(picture, "loss and accuracy of the runs by epoch"))
    return Comparison(names, differing, figures, picture, page)


def _read(folder: Path, name: str, parse: Callable[[str], Any]) -> Any:
    try:
        if (folder / name).exists() and not (folder / name).is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "not a file")
        return parse((folder / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"{folder}: expected the folder of a run, with {name} in it ({error.strerror}); see `xbnet train --out`"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{folder / name}: is damaged ({str(error)[:80]})") from None


def _table(found: Any) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise ValueError(f"expected names and values, got {type(found).__name__}")
    return found


def _epochs(text: str) -> list[dict[str, Any]]:
    return [_table(json.loads(line)) for line in text.splitlines() if line]


def _names(folders: Sequence[Path]) -> list[str]:
    """The shortest names that tell the folders apart."""
    short = [folder.name or str(folder) for folder in folders]
    return short if len(set(short)) == len(short) else [str(folder) for folder in folders]


def _rows(found: dict[str, list[Any]], absent: str) -> list[list[str]]:
    """A name and a text per run, `absent` where a run has no such value."""
    return [[printable(name), *(absent if v is None else _short(v) for v in values)] for name, values in found.items()]


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list):
        return " ".join(map(_short, value[:6])) + (" ..." if len(value) > 6 else "")
    return printable(value)


def _curves(names: Sequence[str], histories: Sequence[list[dict[str, Any]]]) -> Any:
    """Training dashed, validation solid; the mean of a stack."""
    groups = []
    for kind in ("loss", "accuracy"):
        lines = {}
        for name, records in zip(names, histories, strict=True):
            for part in ("train", "val"):
                values = np.array([_mean(record.get(f"{part}_{kind}")) for record in records])
                if np.isfinite(values).any():
                    lines[f"{part} {name}"] = values
        if lines or kind == "loss":
            groups.append((kind, lines))
    return curves(groups)


def _mean(value: Any) -> float:
    each = value if isinstance(value, list) else [value]
    numbers = [v if abs(v) < LARGEST else math.nan for v in each if isinstance(v, (int, float))]
    return math.fsum(v / len(numbers) for v in numbers) if numbers else math.nan
