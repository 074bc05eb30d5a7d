"""HTML and pictures for notebooks: what `_repr_html_` and `_repr_png_` of xbnet's objects are made of.

Nothing here imports IPython or matplotlib. Every text is escaped.
"""

from __future__ import annotations

import base64
import html
import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELL = "text-align:right;padding:2px 10px"
MOST_ROWS = 20
"""Rows of a long table that a notebook shows."""


def in_notebook() -> bool:
    """Whether this process is the kernel of a notebook, which shows HTML and pictures."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")


def png(figure: Figure, dpi: int = 100) -> bytes:
    """A matplotlib figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


def picture(figure: Figure, alt: str) -> str:
    """A matplotlib figure as an ``<img>`` that needs no file except the page."""
    data = base64.b64encode(png(figure)).decode()
    return f'<img alt="{html.escape(alt)}" style="max-width:100%" src="data:image/png;base64,{data}">'


def heading(text: str) -> str:
    """A line above a table or a picture."""
    return f"<div><strong>{html.escape(text)}</strong></div>"


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, most: int = MOST_ROWS) -> str:
    """An HTML table; of more than `most` rows the first ones, and a line that counts the others."""
    rows = list(rows)
    cells = "".join(f'<th style="{CELL}">{html.escape(name)}</th>' for name in head)
    lines = [f"<table><thead><tr>{cells}</tr></thead><tbody>"]
    for row in rows[:most]:
        lines.append("<tr>" + "".join(f'<td style="{CELL}">{html.escape(shown(v))}</td>' for v in row) + "</tr>")
    lines.append("</tbody></table>")
    if len(rows) > most:
        lines.append(f"<div>and {len(rows) - most:,} more rows</div>")
    return "".join(lines)


def shown(value: object) -> str:
    """A value as a table shows it: whole numbers with commas, other numbers with four figures."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def diagram(boxes: Sequence[tuple[str, str]], between: Sequence[str]) -> str:
    """Boxes from top to bottom as SVG, each with a title and a line below it; `between` labels the arrows.

    Parameters
    ----------
    boxes
        Title and text of each box, from top to bottom.
    between
        A label for the arrow into the first box, for those between the boxes, and for the one out of the last.
    """
    width = 40 + 7 * max([len(text) for box in boxes for text in box] + [20])
    step, height = 78, 44
    middle = width // 2
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 120}" height="{step * len(boxes) + 36}" '
        'font-family="monospace" font-size="12">'
    ]
    for i, label in enumerate(between):
        y = step * i
        lines.append(
            f'<line x1="{middle}" y1="{y + 2}" x2="{middle}" y2="{y + 28}" stroke="#888"/>'
            f'<path d="M{middle - 4} {y + 26} L{middle} {y + 33} L{middle + 4} {y + 26} Z" fill="#888"/>'
            f'<text x="{middle + 10}" y="{y + 20}" fill="#888">{html.escape(label)}</text>'
        )
    for i, (title, text) in enumerate(boxes):
        y = step * i + 34
        lines.append(
            f'<rect x="1" y="{y}" width="{width - 2}" height="{height}" rx="5" fill="#1f77b4" fill-opacity="0.12" '
            'stroke="#1f77b4"/>'
            f'<text x="{middle}" y="{y + 18}" text-anchor="middle" fill="currentColor">{html.escape(title)}</text>'
            f'<text x="{middle}" y="{y + 35}" text-anchor="middle" fill="#888">{html.escape(text)}</text>'
        )
    return "".join([*lines, "</svg>"])
