"""The rim between the command and its terminal: no file's content controls it, and a full or closed one is no crash."""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ..errors import printable

CLOSED = 128 + getattr(signal, "SIGPIPE", 13)
"""Exit code where the reader of stdout has gone, as of every command that the signal ends."""


class Printable:
    """A text stream whose lines are shown as they are: control characters are escaped but for the line's end.

    Bytes that are written to its `buffer` are data, and stay as they are.
    """

    def __init__(self, stream: Any):
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text, escaped."""
        if not text.isascii() or not text.isprintable():
            text = "\n".join(printable(line, None) for line in text.split("\n"))  # lines of tables may be long
        return self.stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def _as_one_line(record: Any) -> bool:
    """Turn a log record into one line that a terminal shows as it is."""
    record.msg, record.args = printable(record.getMessage(), 400), ()
    return True


@contextmanager
def guarded_logs() -> Iterator[None]:
    """Log within so that no file's content controls the terminal."""
    import logging  # not for --help

    log = logging.getLogger("xbnet")
    log.addFilter(_as_one_line)
    try:
        yield
    finally:
        log.removeFilter(_as_one_line)


@contextmanager
def guarded_output() -> Iterator[None]:
    """Print safely within: no control characters, and escapes for what the terminal's encoding does not have."""
    stdout = sys.stdout
    if hasattr(stdout, "reconfigure") and stdout.errors == "strict":
        stdout.reconfigure(errors="backslashreplace")
    if stdout is not None:  # None: it was closed before the start
        sys.stdout = Printable(stdout)
    try:
        try:
            yield
        except SystemExit:  # of argparse, after --help
            if stdout is not None:
                stdout.flush()
            raise
        if stdout is not None:
            stdout.flush()
    finally:
        sys.stdout = stdout


def lost_output(error: OSError) -> int | None:
    """The exit code where `error` says that stdout takes nothing more, after one line if it is full; else None."""
    if isinstance(error, BrokenPipeError):
        _drop_output()
        return CLOSED
    if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF):
        _drop_output()
        print(f"xbnet: stdout can't be written ({error.strerror})", file=sys.stderr)
        return 1
    return None


def _drop_output() -> None:
    """Let what is still in stdout's buffer go nowhere when Python ends."""
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
