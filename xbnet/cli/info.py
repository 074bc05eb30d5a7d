"""`xbnet info`: what is installed and which devices answer."""

from __future__ import annotations

import argparse
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..backend import describe_backends

PACKAGES = ("numpy", "scipy", "matplotlib", "safetensors", "tqdm", "scikit-learn", "torch", "jax")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of the verb."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    from .. import __version__

    packages = {name: _version(name) for name in PACKAGES}
    backends = describe_backends()
    if args.json:
        about = {"xbnet": __version__, "python": platform.python_version(), "packages": packages}
        print(json.dumps(about | {"backends": backends}))
        return 0
    print(f"xbnet {__version__}, Python {platform.python_version()}, {platform.machine()} {platform.system()}")
    print(", ".join(f"{name} {found}" for name, found in packages.items() if found))
    print()
    print(f"{'backend':<9}{'version':<15}device")
    for row in backends:
        print(_line(row))
    return 0


def _line(row: dict[str, Any]) -> str:
    return f"{row['backend']:<9}{row['version']:<15}{row['device'] or 'none: ' + row['hint']}"


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
