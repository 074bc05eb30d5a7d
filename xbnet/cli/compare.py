"""`xbnet compare`: compare runs."""

from __future__ import annotations

import argparse
import json

from ..reports import compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help="two or more folders of `xbnet train --out`")
    parser.add_argument("--out", metavar="FILE.html", help="write a page with the curves in one picture")
    parser.add_argument(
        "--json", action="store_true", help="print the differing settings and the metrics as one JSON object"
    )


def run(args: argparse.Namespace) -> int:
    """Compare, print, and keep a page."""
    found = compare(args.runs)
    if args.out:
        found.save(args.out)
    if args.json:
        print(json.dumps({"runs": found.runs, "settings": found.settings, "figures": found.figures}))
    else:
        print(found)
        if args.out:
            print(f"written: {args.out}")
    return 0
