"""A report: text, tables, pictures and figures compared with published ones, written as Markdown and as HTML."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import make_folder, write_bytes, write_text
from ..parsing import is_whole

DPI = 80


@dataclass(frozen=True)
class Row:
    """One published figure and ours.

    Attributes
    ----------
    what
        Name of the quantity.
    reported, ours
        The figures; `reported` is None where the report gives none.
    better
        "higher", "lower", or "equal" for figures that must be the same.
    digits
        Decimals of ours that are shown; None: one, with a power of ten.
    decimals
        Decimals that the report shows; None: as many as `reported` has, without zeros at its end.
    """

    what: str
    reported: float | None
    ours: float
    better: str = "higher"
    digits: int | None = 4
    decimals: int | None = None

    @property
    def gain(self) -> float | None:
        """By how much ours is better, negative where it is worse; None where nothing was reported."""
        if self.reported is None:
            return None
        difference = self.ours - self.reported
        return {"higher": difference, "lower": -difference, "equal": -abs(difference)}[self.better]

    @property
    def verdict(self) -> str:
        """In words."""
        if self.reported is None or self.gain is None:
            return ""
        size = self._shown(abs(self.gain))
        if float(size.replace(",", "")) == 0:
            return "equal"
        if self.gain > 0:
            return f"better by {size}"
        shown = self._as_reported(self.reported)
        rounded = "." in shown and self._as_reported(self.ours) == shown
        return f"worse by {size}" + (", equal when rounded" if rounded else "")

    def cells(self) -> list[str]:
        """Return the cells of the table's row."""
        reported = "-" if self.reported is None else self._as_reported(self.reported)
        return [self.what, reported, self._shown(self.ours), self.verdict]

    def _as_reported(self, value: float) -> str:
        """A figure with the report's decimals."""
        if self.decimals is None and value == self.reported:
            return f"{value:,g}"
        decimals = len(f"{self.reported:g}".partition(".")[2]) if self.decimals is None else self.decimals
        return f"{value:,.{decimals}f}"

    def _shown(self, value: float) -> str:
        return f"{value:.1e}" if self.digits is None else f"{value:,.{self.digits}f}"


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True)
class Table:
    """Cells of text; the first column is left-aligned, the others right-aligned."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Code:
    """Text as it was printed."""

    text: str


@dataclass(frozen=True)
class Picture:
    """A PNG."""

    name: str
    caption: str
    png: bytes


@dataclass
class Report:
    """The findings of one experiment, in the order of its sections.

    Attributes
    ----------
    name, title
        For files, and for people.
    parts
        Headings, texts, tables, pictures.
    rows
        All comparisons with published figures.
    seconds, processor_seconds
        Time that it took, on the clock and of all cores together.
    """

    name: str
    title: str
    parts: list[Any] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    processor_seconds: float = 0.0

    def heading(self, text: str) -> None:
        """Begin a section."""
        self.parts.append(Heading(text))

    def text(self, text: str) -> None:
        """Add a paragraph."""
        self.parts.append(Text(" ".join(text.split())))

    def code(self, text: str) -> None:
        """Add what something printed."""
        self.parts.append(Code(text))

    def table(self, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Add a table; floating numbers are shown with four digits."""
        shown = tuple(tuple(_cell(cell) for cell in row) for row in rows)
        self.parts.append(Table(tuple(header), shown))

    def compare(self, rows: Sequence[Row]) -> None:
        """Add a table "reported / ours"."""
        self.rows += rows
        self.table(("", "reported", "ours", "ours is"), [row.cells() for row in rows])

    def picture(self, figure: Any, caption: str, colors: int = 64) -> None:
        """Add a matplotlib figure, reduced to few colours."""
        count = sum(isinstance(part, Picture) for part in self.parts)
        self.parts.append(Picture(f"{self.name}-{count + 1}.png", caption, png(figure, colors)))

    # -- output ------------------------------------------------------------------------------------------------------

    def markdown(self, pictures: str | None = "pictures") -> str:
        """As Markdown; `pictures` is the folder that links point to, None leaves pictures out."""
        return (
            "\n\n".join([f"# {self.title}", *filter(None, (_markdown(part, pictures) for part in self.parts))]) + "\n"
        )

    def html(self) -> str:
        """As a piece of HTML, with the pictures in it."""
        return "\n".join([f"<h1 id='{self.name}'>{html.escape(self.title)}</h1>", *map(_html, self.parts)])

    def write(self, folder: Path) -> None:
        """Write NAME.md, and its pictures to the folder `pictures`."""
        for part in self.parts:
            if isinstance(part, Picture):
                write_bytes(make_folder(folder / "pictures") / part.name, part.png)
        write_text(folder / f"{self.name}.md", self.markdown())

    def to_dict(self) -> dict[str, Any]:
        """Return the result as numbers, texts, lists and dictionaries, for JSON."""
        rows = [{"what": r.what, "reported": r.reported, "ours": float(r.ours), "gain": r.gain} for r in self.rows]
        return {"title": self.title, "seconds": self.seconds, "processor_seconds": self.processor_seconds, "rows": rows}


def page(reports: Sequence[Report]) -> str:
    """A self-contained HTML page of several reports."""
    links = " | ".join(f"<a href='#{r.name}'>{html.escape(r.name)}</a>" for r in reports)
    body = "\n<hr>\n".join(report.html() for report in reports)
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>xbnet reproduce</title>\n"
        "<meta name='viewport' content='width=device-width'><style>\n"
        "body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }\n"
        "table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto }\n"
        "td, th { padding: .2rem .8rem; text-align: right }\n"
        "td:first-child, th:first-child { text-align: left } tr { border-bottom: 1px solid #ddd }\n"
        "pre { overflow-x: auto; background: #f6f6f6; padding: .8rem; font-size: 13px }\n"
        "figure { margin: 1rem 0 } img { max-width: 100% } figcaption { color: #555 }\n"
        "</style></head>\n"
        f"<body>\n<p>{links}</p>\n{body}\n</body></html>\n"
    )


def png(figure: Any, colors: int) -> bytes:
    """A figure as a small PNG with a palette of at most 256 colours."""
    from PIL import Image

    raw, small = io.BytesIO(), io.BytesIO()
    figure.savefig(raw, format="png", dpi=DPI)
    Image.open(raw).convert("RGB").quantize(colors).save(small, format="png", optimize=True)
    return small.getvalue()


def _cell(cell: Any) -> str:
    if isinstance(cell, (float, np.floating)):
        return f"{cell:.4f}"
    return f"{cell:,}" if is_whole(cell) else str(cell)


def _markdown(part: Any, pictures: str | None) -> str:
    if isinstance(part, Heading):
        return f"## {part.text}"
    if isinstance(part, Text):
        return part.text
    if isinstance(part, Code):
        return f"```text\n{part.text}\n```"
    if isinstance(part, Picture):
        return "" if pictures is None else f"![{part.caption}]({pictures}/{part.name})\n\n*{part.caption}*"
    rows = (part.header, *part.rows)
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(part.header))]
    align = [str.ljust] + [str.rjust] * (len(widths) - 1)
    lines = ["| " + " | ".join(a(c, w) for a, c, w in zip(align, row, widths, strict=True)) + " |" for row in rows]
    rule = "|" + "|".join(("-" * (w + 2)) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _html(part: Any) -> str:
    if isinstance(part, Heading):
        return f"<h2>{html.escape(part.text)}</h2>"
    if isinstance(part, Text):
        return f"<p>{html.escape(part.text)}</p>"
    if isinstance(part, Code):
        return f"<pre>{html.escape(part.text)}</pre>"
    if isinstance(part, Picture):
        data = base64.b64encode(part.png).decode()
        caption = html.escape(part.caption)
        image = f"<img alt='{caption}' src='data:image/png;base64,{data}'>"
        return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in part.header)
    rows = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in part.rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{rows}\n</tbody></table>"
