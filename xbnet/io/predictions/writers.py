"""Predictions to CSV, JSON Lines, Parquet or .npz, a chunk at a time. A file appears when it is complete."""

from __future__ import annotations

import csv
import json
import math
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...errors import ConfigError, unknown_name
from ...files import replacing

Ids = dict[str, list[str | None]]
Write = Callable[[np.ndarray | None, np.ndarray, Ids], None]
"""Takes labels (n,), or None for a regression, values (n, O), and columns to put in front, by name."""


@contextmanager
def open_writer(out: str, form: str | None, columns: list[str]) -> Iterator[Write]:
    """A function that takes chunks of predictions.

    Parameters
    ----------
    out
        A file, or "-" for stdout.
    form
        One of `FORMATS`; None: what the file's name says, CSV for stdout.
    columns
        Names of the values' columns; the labels' is "label".
    """
    suffix = Path(out).suffix.lower().lstrip(".") if out != "-" else "csv"
    form = form or {"pq": "parquet", "json": "jsonl"}.get(suffix, suffix)
    if form not in FORMATS:
        raise unknown_name(f"--out {out}", "format", form, FORMATS)
    if out == "-":
        if form not in ("csv", "jsonl"):
            raise ConfigError(f"--out -: expected csv or jsonl, for {form} needs a file, got --format {form}")
        if sys.stdout is None:
            raise ConfigError("--out -: expected a stdout to write to, but it is closed; name a file with --out")
        with FORMATS[form](_Terminal() if sys.stdout.isatty() else sys.stdout.buffer, columns) as write:
            yield write
        sys.stdout.flush()
        return
    with replacing(out) as stream, FORMATS[form](stream, columns) as write:
        yield write


class _Terminal:
    """Where stdout is one, class names must not control it: lines go the way of all that is printed."""

    def write(self, content: bytes) -> None:
        sys.stdout.write(content.decode())


class _Text:
    """Text lines to a binary stream that stays open."""

    def __init__(self, stream: IO[Any]):
        self.stream = stream

    def write(self, text: str) -> None:
        self.stream.write(text.encode())


@contextmanager
def _csv(stream: IO[Any], columns: list[str]) -> Iterator[Write]:
    writer = csv.writer(_Text(stream), lineterminator="\n")
    header: list[list[str]] = []

    def write(labels: np.ndarray | None, values: np.ndarray, ids: Ids) -> None:
        if not header:
            header.append([*ids, *([] if labels is None else ["label"]), *columns])
            writer.writerow(header[0])
        rows = values.astype(str).tolist()  # as few digits as tell float32 values apart
        if labels is not None:
            rows = [[label, *row] for label, row in zip(labels, rows, strict=True)]
        if ids:
            rows = [[*named, *row] for *named, row in zip(*ids.values(), rows, strict=True)]
        writer.writerows(rows)

    yield write


@contextmanager
def _jsonl(stream: IO[Any], columns: list[str]) -> Iterator[Write]:
    def write(labels: np.ndarray | None, values: np.ndarray, ids: Ids) -> None:
        lines = []
        for i, row in enumerate(values.astype(str).astype(float).tolist()):  # no more digits than float32 has
            record: dict[str, Any] = {name: texts[i] for name, texts in ids.items()}
            record |= {} if labels is None else {"label": labels[i].item()}
            lines.append(json.dumps(record | dict(zip(columns, row, strict=True))) + "\n")
        stream.write("".join(lines).encode())

    yield write


@contextmanager
def _parquet(stream: IO[Any], columns: list[str]) -> Iterator[Write]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise ConfigError("writing Parquet needs pyarrow; pip install pyarrow") from None
    writer: list[Any] = []

    def write(labels: np.ndarray | None, values: np.ndarray, ids: Ids) -> None:
        named: dict[str, Any] = {name: pyarrow.array(texts, pyarrow.string()) for name, texts in ids.items()}
        named |= {} if labels is None else {"label": pyarrow.array(labels.tolist())}
        table = pyarrow.table(named | dict(zip(columns, values.T, strict=True)))
        if not writer:
            writer.append(parquet.ParquetWriter(stream, table.schema))
        writer[0].write_table(table)

    yield write
    if writer:
        writer[0].close()


@contextmanager
def _npz(stream: IO[Any], columns: list[str]) -> Iterator[Write]:
    """Arrays "labels", "values", and one of texts per column in front, by its name ("" where one is missing).

    They are gathered in files of their own: their headers come first, and hold their length.
    """
    with ExitStack() as stack:
        gathered: dict[str, tuple[Any, list[Any]]] = {}

        def add(name: str, array: np.ndarray) -> None:
            if name not in gathered:
                gathered[name] = stack.enter_context(tempfile.TemporaryFile()), []
            file, pieces = gathered[name]
            pieces.append((array.dtype, array.shape))
            file.write(np.ascontiguousarray(array).tobytes())

        def write(labels: np.ndarray | None, values: np.ndarray, ids: Ids) -> None:
            for name, texts in ids.items():
                if name in ("labels", "values"):
                    raise ConfigError(f"--id {name}: an .npz file has an array of that name; write .csv or .parquet")
                add(name, np.array([text or "" for text in texts], np.str_))
            if labels is not None:
                add("labels", labels)
            add("values", values)

        yield write
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name, (file, pieces) in gathered.items():
                dtype = np.result_type(*(dtype for dtype, _ in pieces))
                shape = (sum(shape[0] for _, shape in pieces), *pieces[0][1][1:])
                header = {"descr": dtype.str, "fortran_order": False, "shape": shape}
                with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                    np.lib.format.write_array_header_2_0(entry, header)
                    file.seek(0)
                    for of_piece, piece in pieces:
                        content = file.read(of_piece.itemsize * math.prod(piece))
                        entry.write(np.frombuffer(content, of_piece).astype(dtype).tobytes())


FORMATS: dict[str, Any] = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet, "npz": _npz}
