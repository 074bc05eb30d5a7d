"""The same training steps by xbnet's levels and by its rivals on one CUDA device: checked first, then timed in turn.

    python -m benchmarks.gpu --out results      # everything; tables on stdout, gpu.json and gpu.md in the folder, which
                                                # have what is known after each case
    python -m benchmarks.gpu --only 64-64       # the cases whose name contains 64-64
    python -m benchmarks.gpu --check            # no device: small cases on the CPU, agreement only

Before anything is timed, the weights after a few epochs are held against float64 NumPy, relative to how far they have
moved; what is wrong is not timed. In each round all rivals of a case take their turn. A rival that is not installed,
or can't do a case, is left out, and the report says why.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import sys
from pathlib import Path
from typing import Any

from . import report
from .cases import CARDS, CASES, CHECKED_EPOCHS, Case, error, reference
from .rival import Rival, Unable, seconds_per_step

RIVALS = {
    "xbnet eager": ("levels", "Eager"),
    "xbnet graph": ("levels", "Graph"),
    "xbnet persistent": ("levels", "Persistent"),
    "PyTorch eager": ("torch_rivals", "Eager"),
    "PyTorch compiled": ("torch_rivals", "Compiled"),
    "PyTorch graph": ("torch_rivals", "Graph"),
    "PyTorch vmap": ("torch_rivals", "Vmap"),
    "PyTorch loop": ("torch_rivals", "Loop"),
    "JAX step": ("jax_rivals", "Step"),
    "JAX scan": ("jax_rivals", "Scan"),
}
STEPS = 200
"""Minimum number of steps of a turn."""


def main(arguments: list[str] | None = None) -> int:
    """Parse, run, print; 1 where a level of xbnet is wrong or there is no device."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="small cases on the CPU, kernels by a C++ compiler")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each rival (default: %(default)s)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only cases whose name contains this")
    parser.add_argument("--rivals", default="", metavar="TEXT,..", help="only rivals whose name contains one of these")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write gpu.json and gpu.md there")
    args = parser.parse_args(arguments)
    device, name = ("cpu", "the CPU") if args.check else ("cuda", device_name())
    if name is None:
        return 1
    cases = [case for case in CASES if args.only in case.name]
    wanted = [rival for rival in RIVALS if any(text in rival for text in args.rivals.split(","))]
    card = next((card for word, card in CARDS.items() if word in name), None)
    versions: set[str] = set()
    found: list[dict[str, Any]] = []
    result = {"device": name, "versions": [], "timed": not args.check, "rivals": wanted, "cases": found}
    for case in cases:
        rounds = 0 if args.check else args.rounds
        rivals = measure(case.small() if args.check else case, wanted, device, rounds, versions)
        floors = case.floors(card) if card else {}
        found.append({"name": case.name, "flop": case.flop, "floors": floors, "rivals": rivals})
        result["versions"] = sorted(versions)
        if args.out is not None:
            report.write(args.out, result)  # after each case: the device may be lent for a while only
    print(report.markdown(result))
    ours = [rivals[name] for case in found for rivals in [case["rivals"]] for name in report.OURS if name in rivals]
    return int(not all(level.get("agrees", True) for level in ours))


def device_name() -> str | None:
    """Name of the CUDA device; None, and a line on stderr, if there is none."""
    import xbnet

    try:
        return xbnet.get_backend("cupy").device
    except xbnet.BackendError as missing:
        print(f"benchmarks.gpu: {missing}; agreement alone needs no device: --check", file=sys.stderr)
        return None


def measure(case: Case, names: list[str], device: str, rounds: int, versions: set[str]) -> dict[str, Any]:
    """For each rival its error, whether it agrees, and seconds per step in each round; or why it was left out."""
    results: dict[str, Any] = {}
    ready: dict[str, Rival] = {}
    expected = reference(case.checked(), CHECKED_EPOCHS)
    for name in names:
        try:
            kind = load(name)
            versions.add(kind.version())
            off = check(kind, case, device, expected)
            results[name] = {"error": off, "agrees": off <= case.tolerance, "seconds": []}
            if results[name]["agrees"] and rounds:
                ready[name] = kind(case, device)
                ready[name].run(epochs_of(case))  # compiles, captures, and warms up at the length that is timed
                ready[name].wait()
        except Unable as error:
            results[name] = {"skipped": str(error)}
        except Exception as error:
            results[name] = failed(name, error)
        print(f"{case.name}: {name}: {results[name]}", file=sys.stderr, flush=True)
    for _ in range(rounds):
        for name, rival in list(ready.items()):
            try:
                results[name]["seconds"].append(seconds_per_step(rival, epochs_of(case)))
            except Exception as error:
                results[name] = failed(name, error)
                del ready[name]
    ready.clear()
    gc.collect()
    return results


def failed(name: str, error: Exception) -> dict[str, Any]:
    """The result of a rival whose library raises: that must not end the others' turns."""
    reason = {"skipped": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
    return reason | {"error": float("nan"), "agrees": False, "seconds": []} if name in report.OURS else reason


def load(name: str) -> Any:
    """The class of a rival."""
    module, kind = RIVALS[name]
    try:
        return getattr(importlib.import_module(f".{module}", __package__), kind)
    except ImportError as error:
        raise Unable(f"not installed ({error})") from None


def check(kind: Any, case: Case, device: str, expected: Any) -> float:
    """The error after a short run, relative to the update."""
    case = case.checked()
    rival = kind(case, device)
    rival.run(CHECKED_EPOCHS)
    rival.wait()
    return error(case, rival.weights(), expected, rival.replicas)


def epochs_of(case: Case) -> int:
    """Number of epochs of a turn."""
    return -(-STEPS // case.steps)


if __name__ == "__main__":
    sys.exit(main())
