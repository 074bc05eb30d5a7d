"""`xbnet reproduce`: run the published reports' experiments, and compare our figures with theirs."""

from __future__ import annotations

import argparse
import json
import sys

from ..errors import ConfigError, DataError, unknown_name
from ..experiments import NAMES, Report, Setup, page, reproduce
from ..files import make_folder, write_text


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("names", nargs="+", metavar="NAME", help=f"{', '.join(NAMES)}, or all")
    parser.add_argument("--quick", action="store_true", help="use few samples and epochs, to see that it runs")
    parser.add_argument(
        "--data-dir", metavar="DIR",
        help="folder with mat/, mnist/ and cifar-10-batches-py/; default: XBNET_DATA_DIR",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="folder for report.html, and Markdown with pictures")
    parser.add_argument("--json", action="store_true", help="print all comparisons as one JSON object")
    parser.add_argument("--quiet", action="store_true", help="print no progress and no tables")


def run(args: argparse.Namespace) -> int:
    """Run the experiments one after the other; those without data are named and left out."""
    for name in args.names:
        if name not in (*NAMES, "all"):
            raise unknown_name("reproduce", "report", name, [*NAMES, "all"])
    names = NAMES if "all" in args.names else tuple(dict.fromkeys(args.names))
    folder = make_folder(args.out) if args.out else None
    setup = Setup(quick=args.quick, data_dir=args.data_dir)
    if args.data_dir and not setup.folders()[0].is_dir():
        raise ConfigError(f"--data-dir {args.data_dir}: expected a folder; there is none")
    if args.quiet:
        setup.progress = lambda line: None
    reports: list[Report] = []
    missing = 0
    for name in names:
        try:
            report = reproduce(name, setup)
        except DataError as error:
            print(f"xbnet: {error}", file=sys.stderr)
            missing += 1
            continue
        reports.append(report)
        if not args.quiet:
            print(report.markdown(pictures=None), flush=True)
        if folder is not None:
            report.write(folder)
            write_text(folder / "report.html", page(reports))
    if folder is not None and reports and not args.quiet:
        print(f"kept in {folder}: report.html, {', '.join(f'{report.name}.md' for report in reports)}")
    if args.json:
        print(json.dumps({report.name: report.to_dict() for report in reports}))
    return DataError.exit_code if missing else 0
