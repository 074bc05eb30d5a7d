"""The tables in Markdown, and the figures as JSON."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

OURS = ("xbnet eager", "xbnet graph", "xbnet persistent")

# (words that name the case, rival, how many times slower it shall be than the best level of xbnet at least)
GOALS = (
    ("1 x 64-64-64-10, batch 32", "PyTorch eager", 10.0),
    ("1 x 64-64-64-10, batch 32", "PyTorch graph", 1.5),
    ("1 x 64-64-64-10, batch 32", "JAX scan", 1.0),
    ("132 x 64-64-64-10, batch 32", "PyTorch vmap", 20.0),
    ("1,000 x 5-10-7-5, batch 64", "PyTorch loop", 1000.0),
    ("1 x 1024-1024-1024-1024-10, batch 4,096, tf32", "PyTorch eager", 1.0),
)
PEAK_GOAL = ("1 x 1024-1024-1024-1024-10, batch 4,096, tf32", 0.6)
"""Share of the card's peak that the products shall reach."""


NOT_TIMED = (
    "Nothing was timed: networks of these shapes in little on the CPU, and the error of their weights against float64 "
    "NumPy, relative to how far they have moved."
)


def micro(seconds: float) -> str:
    """Three digits, in microseconds."""
    return f"{seconds * 1e6:,.0f}" if seconds >= 1e-3 else f"{seconds * 1e6:.3g}"


def cell(result: dict[str, Any]) -> str:
    """Median and spread of a rival's times; what it lacks."""
    if "skipped" in result:
        return "-"
    if not result["agrees"]:
        return "WRONG"
    if not result["seconds"]:
        return f"{result['error']:.0e}"
    times = result["seconds"]
    middle = statistics.median(times)
    return f"{micro(middle)} ± {(max(times) - min(times)) / 2 / middle:.0%}"


def best(rivals: dict[str, Any]) -> float | None:
    """Seconds of xbnet's quickest level."""
    times = [
        statistics.median(found["seconds"])
        for name in OURS
        if (found := rivals.get(name, {})).get("agrees") and found["seconds"]
    ]
    return min(times, default=None)


def goals(cases: list[dict[str, Any]]) -> list[str]:
    """Goals and measurements, a line for each."""
    lines, by_name = [], {case["name"]: case for case in cases}
    for name, rival, wanted in GOALS:
        case = by_name.get(name)
        theirs = case["rivals"].get(rival, {}).get("seconds") if case else None
        ours = best(case["rivals"]) if case else None
        if theirs and ours:
            ratio = statistics.median(theirs) / ours
            verdict = "reached" if ratio >= wanted else "missed"
            lines.append(f"- {name}: {rival} takes {ratio:.2f} x xbnet's time, {wanted:g} x wanted: {verdict}")
    name, wanted = PEAK_GOAL
    case = by_name.get(name)
    ours = best(case["rivals"]) if case else None
    if case and ours and case["floors"]:
        share = case["floors"]["arithmetic"] / ours
        verdict = "reached" if share >= wanted else "missed"
        lines.append(f"- {name}: {share:.0%} of the card's peak, {wanted:.0%} wanted: {verdict}")
    return lines


def markdown(report: dict[str, Any]) -> str:
    """All of it."""
    cases, names = report["cases"], report["rivals"]
    lines = [f"{report['device']}; {', '.join(report['versions'])}.", ""]
    if report["timed"]:
        lines += ["Microseconds of a step of all networks: median ± half the range.", ""]
    else:
        lines += [NOT_TIMED, ""]
    lines += [f"| step | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    for case in cases:
        lines.append(f"| {case['name']} | {' | '.join(cell(case['rivals'][name]) for name in names)} |")
    if report["timed"]:
        lines += ["", f"| time / xbnet's best time | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
        for case in cases:
            ours = best(case["rivals"])
            row = [
                f"{statistics.median(found['seconds']) / ours:.2f}" if ours and found.get("seconds") else "-"
                for found in (case["rivals"][name] for name in names)
            ]
            lines.append(f"| {case['name']} | {' | '.join(row)} |")
    floors = [case for case in cases if case["floors"]]
    if floors:
        kinds = list(floors[0]["floors"])
        lines += ["", f"| floor, µs | MFLOP | {' | '.join(kinds)} |", "|---" * (len(kinds) + 2) + "|"]
        for case in floors:
            values = " | ".join(micro(value) for value in case["floors"].values())
            lines.append(f"| {case['name']} | {case['flop'] / 1e6:,.1f} | {values} |")
    lines += ["", *goals(cases)] if goals(cases) else []
    reasons: dict[str, list[str]] = {}
    for case in cases:
        for name, found in case["rivals"].items():
            if "skipped" in found:
                reasons.setdefault(f"{name}: {found['skipped']}", []).append(case["name"])
    lines += ["", "Left out:", ""] if reasons else []
    lines += [
        f"- {why} ({'all cases' if len(where) == len(cases) else '; '.join(where)})" for why, where in reasons.items()
    ]
    return "\n".join(lines) + "\n"


def write(folder: Path, report: dict[str, Any]) -> None:
    """gpu.json and gpu.md."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "gpu.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    (folder / "gpu.md").write_text(markdown(report), encoding="utf-8")
