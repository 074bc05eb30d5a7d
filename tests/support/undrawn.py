"""The command in a process of its own, without its pictures: matplotlib and the drawing take longer than a small run."""

import sys
from pathlib import Path

from xbnet import plots
from xbnet.cli import main

COMMAND = sys.executable, __file__
"""In place of ``python -m xbnet``."""

if __name__ == "__main__":
    plots.learning_curves = plots.decision_regions = lambda *arguments, **settings: None
    plots.save_figure = lambda figure, path, **settings: Path(path).touch()
    sys.exit(main())
