"""The command `xbnet VERB`, also `python -m xbnet VERB`: one module per verb.

Results go to stdout, progress and logs to stderr. Exit codes: 0 done, 1 failed while running, 2 wrong usage or bad
input, 130 interrupted. A user's mistake is one line on stderr, never a traceback.

A verb's module has `add_arguments(parser)` and `run(args) -> exit code`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from contextlib import suppress

from ..errors import ConfigError, Interrupted, XbnetError, printable, reason, unknown_name
from .output import guarded_logs, guarded_output, lost_output
from .parser import Parser, expand_config, name_data

VERBS = {
    "train": "train a network on a data set",
    "sweep": "train a grid of configurations, seeds and folds as one stack",
    "verify": "prove that backward is the derivative of forward, and that a training step follows its paper",
    "reproduce": "run the experiments of the published reports and compare our figures with theirs",
    "data": "fetch a public data set, or show what a name or a file holds",
    "report": "judge a trained model on one page: metrics, curves, confusion matrix, calibration, feature importance",
    "compare": "compare runs: settings, figures, curves",
    "predict": "predict the rows of a file with a trained network",
    "export": "write a trained network for other programs: ONNX, PyTorch, NumPy",
    "info": "show installed libraries and devices, or the contents of a model, run or sweep",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments `argv`, by default the process's; the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        with guarded_output():
            return _run(argv)
    except XbnetError as error:
        return _complain(error, error.exit_code)
    except Interrupted as interrupt:
        return _complain(interrupt, 130)
    except KeyboardInterrupt:
        return _complain("interrupted", 130)
    except MemoryError as error:
        return _complain(
            f"there is too little memory for this ({reason(error)}); take smaller data or a smaller "
            "network, or fewer replicas",
            1,
        )
    except OSError as error:
        code = lost_output(error)
        if code is not None:
            return code
        return _complain(f"{error.filename or 'the system'}: {reason(error)}", 1)


def _run(argv: list[str]) -> int:
    argv = name_data(argv)
    parser = build_parser(argv[0] if argv else None)
    args = parser.parse_args(expand_config(argv, parser))
    if args.completion:
        return _print_completion(args.completion)
    if args.version:
        return _print_version()
    if args.verb is None:
        parser.print_help(sys.stderr)
        return 2
    from .folders import removed_if_empty

    with guarded_logs(), removed_if_empty(getattr(args, "out", None)):
        return importlib.import_module(f".{args.verb}", __name__).run(args)


EVERY_VERB = "*"


def build_parser(verb: str | None = None) -> Parser:
    """The parser. It has `verb` alone, so that it is made quickly; where there is no such verb, the names of all.

    `EVERY_VERB` stands for all of them with their flags.
    """
    parser = Parser(prog="xbnet", description="Neural networks for vectors, stacked by design, on NumPy, CuPy or dpnp.")
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument(
        "--completion", metavar="SHELL", help="print the completion script for a shell: bash, zsh, fish, tcsh"
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", parser_class=Parser)
    for name, summary in [(verb, VERBS[verb])] if verb in VERBS else VERBS.items():
        child = verbs.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        if verb in (name, EVERY_VERB):
            importlib.import_module(f".{name}", __name__).add_arguments(child)
    return parser


def _print_completion(shell: str) -> int:
    try:
        import shtab
    except ImportError:
        raise ConfigError("--completion needs shtab; install it with: pip install shtab") from None
    if shell not in shtab.SUPPORTED_SHELLS:
        raise unknown_name("--completion", "shell", shell, shtab.SUPPORTED_SHELLS)
    print(shtab.complete(build_parser(EVERY_VERB), shell))
    return 0


def _print_version() -> int:
    from .. import __version__

    print(f"xbnet {__version__}")
    return 0


def _complain(error: object, code: int) -> int:
    with suppress(OSError, ValueError, AttributeError):  # stderr may be full or closed as well
        print(f"xbnet: {printable(error, None)}", file=sys.stderr)
    return code
