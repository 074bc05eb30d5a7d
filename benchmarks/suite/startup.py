"""How long it takes until something happens: imports and commands, each in a process of its own."""

from __future__ import annotations

import subprocess
import sys


class Startup:
    """Whole processes; the first one is the floor of the others."""

    params = (["import numpy", "import xbnet", "xbnet.train --help", "xbnet --version"],)
    param_names = ("what",)

    def setup(self, what: str) -> None:
        if what.startswith("import"):
            self.arguments = ["-c", what]
        else:
            module, flag = what.split()
            self.arguments = ["-m", module, flag]

    def time_process(self, what: str) -> None:
        subprocess.run([sys.executable, *self.arguments], check=True, stdout=subprocess.DEVNULL)


def timeraw_import() -> str:
    """`import xbnet` alone, without the start of Python."""
    return "import xbnet"
