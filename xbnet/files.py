"""Writing files so that nobody ever sees half of one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import ConfigError


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, flush to the disk, rename."""
    write_with(path, lambda stream: stream.write(content))


def write_text(path: str | Path, content: str) -> None:
    """The same for text, as UTF-8."""
    write_bytes(path, content.encode())


def write_with(path: str | Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill a temporary binary file beside `path`, then rename it to `path`."""
    with replacing(path) as stream:
        write(stream)


@contextmanager
def replacing(path: str | Path) -> Iterator[Any]:
    """A temporary binary file beside `path`, renamed to `path` when all went well."""
    path = Path(path)
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as stream:
            temporary = Path(stream.name)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"{path}: can't be written ({error.strerror}); choose another place") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def keep_input(out: str | Path, *sources: str | Path) -> None:
    """Refuse an `out` that is one of the files that are read."""
    for source in sources:
        if os.path.exists(out) and os.path.exists(source) and os.path.samefile(out, source):
            raise ConfigError(f"--out {out}: is the file that is read; choose another place")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def make_folder(path: str | Path) -> Path:
    """Make the folder `path`, and make sure that files can be written there."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ConfigError(f"--out {folder}: can't be written ({error.strerror}); choose another folder") from error
    return folder
