"""`xbnet verify --all`, of gradients and of steps: a line per case, a summary, and what failed as an error."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..errors import GradientError
from ..files import write_text
from ..verify.results import in_words


def run_catalogue(
    args: argparse.Namespace, folder: Path | None, cases: Iterable[Any], head: str, row: Callable[[Any], str]
) -> int:
    """Run the cases, print and keep what they found.

    Parameters
    ----------
    args
        With `quiet` and `json`.
    folder
        Where a text (and a picture, of a result that has one) of every case goes, the report and the summary.
    cases
        Each with a `name`, and `run` to a result with `passed` (None: not judged), `failures()` and its text as `str`.
    head, row
        Columns between a case's name and its seconds: their head, and their text for a result.

    Raises
    ------
    GradientError
        A case failed; the first one is named.
    """
    start, lines, results = time.perf_counter(), [], {}
    if not args.quiet:
        print(f"{'case':<44}{head}{'seconds':>9}  verdict")
    for case in cases:
        began = time.perf_counter()
        result = results[case.name] = case.run()
        seconds = time.perf_counter() - began
        lines.append(f"{case.name:<44}{row(result)}{seconds:>9.2f}  {in_words(result.passed)}")
        if not args.quiet:
            print(lines[-1], flush=True)
        if folder is not None:
            keep_case(folder, case.name, result)
    failed = {name: result for name, result in results.items() if result.passed is False}
    open_cases = [name for name, result in results.items() if result.passed is None]
    seconds, passed = time.perf_counter() - start, len(results) - len(failed) - len(open_cases)
    not_judged = f", {len(open_cases)} not judged," if open_cases else ""
    lines.append(f"{passed} of {len(results)} passed{not_judged} in {seconds:.1f} s")
    if not args.quiet:
        print(lines[-1])
    summary = {
        "passed": False if failed else None if open_cases else True,
        "cases": len(results),
        "failed": {name: result.failures() for name, result in failed.items()},
        "not_judged": open_cases,
        "seconds": seconds,
    }
    if folder is not None:
        write_text(folder / "report.txt", "\n".join(lines) + "\n")
        write_text(folder / "result.json", json.dumps(summary, indent=1) + "\n")
    if args.json:
        print(json.dumps(summary))
    for name, result in failed.items():
        raise GradientError(f"{name}: {result.failures()[0]} ({len(failed)} of {len(results)} cases failed)", result)
    return 0


def keep_case(folder: Path, name: str, result: Any) -> None:
    """A case's table, and its picture where it has one."""
    place = folder / name.replace("/", "-").replace(",", "").replace(" ", "_")
    write_text(place.with_suffix(".txt"), f"{result}\n")
    if hasattr(result, "plot"):
        from ..plots import save_figure

        save_figure(result.plot(), place.with_suffix(".png"), dpi=80)
