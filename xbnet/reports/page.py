"""One self-contained HTML page: no other file, no script, every text escaped."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..files import write_text
from ..notebook import picture, table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

STYLE = """
body { font-family: system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd; }
table { border-collapse: collapse; font-size: 0.9rem; } th { border-bottom: 1px solid #999; }
td, th { text-align: right; padding: 3px 12px; } td:first-child, th:first-child { text-align: left !important; }
.figures div { background: #f3f6f9; } .figures b { display: block; font-size: 1.3rem; } img { max-width: 100%; }
pre { background: #f6f6f6; padding: 0.8rem; overflow-x: auto; font-size: 0.85rem; } .scroll { overflow-x: auto; }
@media (prefers-color-scheme: dark) { body { background: #16181c; color: #ddd; }
.figures div, pre { background: #24272d; }
img { background: white; } }
"""


BOX = "display: inline-block; margin: 0 1rem 8px 0; padding: 0.6rem 1rem; border: 1px solid #9994; border-radius: 6px"
"""The style of a number in a notebook too, which has no style sheet of ours."""


class Page:
    """A page that grows section by section."""

    def __init__(self, title: str):
        self.title = title
        self.parts: list[str] = []

    def section(self, title: str, *content: str) -> None:
        """A heading with HTML below it; nothing where there is no content."""
        if any(content):
            self.parts += [f"<h2>{html.escape(title)}</h2>", *content]

    def text(self, text: str) -> str:
        """A paragraph."""
        return f"<p>{html.escape(text)}</p>"

    def code(self, text: str) -> str:
        """Text in its own layout."""
        return f"<pre>{html.escape(text)}</pre>"

    def figures(self, figures: Mapping[str, Any]) -> str:
        """Numbers in boxes."""
        boxes = "".join(
            f'<div style="{BOX}"><b>{html.escape(number(value))}</b> {html.escape(name)}</div>'
            for name, value in figures.items()
        )
        return f'<div class="figures">{boxes}</div>'

    def table(self, head: Sequence[str], rows: Sequence[Sequence[Any]], most: int = 100) -> str:
        """A table that scrolls where it is wide."""
        return f'<div class="scroll">{table(head, rows, most=most)}</div>'

    def picture(self, figure: Figure, alt: str) -> str:
        """A matplotlib figure within the page."""
        return picture(figure, alt)

    def html(self) -> str:
        """The whole page."""
        title = html.escape(self.title)
        return (
            f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
            f"<body><h1>{title}</h1>{''.join(self.parts)}</body></html>\n"
        )


class OnPage:
    """Findings, and a page that shows them: `html` is the page, `save` writes it, a notebook shows it."""

    page: Page

    @property
    def html(self) -> str:
        """The whole page as a text."""
        return self.page.html()

    def save(self, path: str | Path) -> None:
        """Write the page to a file, in one piece."""
        write_text(path, self.html)

    def _repr_html_(self) -> str:
        return "".join(self.page.parts)


def number(value: object) -> str:
    """A figure with four digits, a whole number with commas."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
