"""Run notebooks that the gallery offers for download, cell by cell: ``python docs/run_notebooks.py HTML NAME...``.

The gallery's build runs the same text as scripts; here a notebook's own kernel runs it, as a reader's does, and each
notebook has to show a picture or a table.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def run(path: Path) -> str:
    """Run a notebook in an empty folder; a line about what it showed."""
    notebook = nbformat.read(path, as_version=4)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [kind for output in outputs for kind in output.get("data", {}) if kind in ("image/png", "text/html")]
    if not shown:
        sys.exit(f"{path.name}: expected pictures or tables, and none was shown")
    return f"{path.name}: {len(shown)} pictures and tables in {time.perf_counter() - started:.0f} s"


def main(arguments: list[str]) -> None:
    """Find the notebooks among the downloads, and run them."""
    folder, *names = arguments
    for name in names:
        (path,) = Path(folder, "_downloads").rglob(f"{name}.ipynb")
        print(run(path))


if __name__ == "__main__":
    main(sys.argv[1:])
