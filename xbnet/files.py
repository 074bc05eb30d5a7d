"""Writing files so that nobody ever sees half of one, and folders that one process writes to at a time."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from platform import node
from typing import Any

from .errors import ConfigError, DataError, reason

TEMPORARY = re.compile(r"\..*\.xbnet-([0-9a-f]{8})-(\d+)-\w{8}", re.DOTALL)
"""Names of files that are being written: which machine's, and which process's."""


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write to a temporary name next to `path`, flush to the disk, rename."""
    write_with(path, lambda stream: stream.write(content))


def write_text(path: str | Path, content: str) -> None:
    """The same for text, as UTF-8."""
    write_bytes(path, content.encode(errors="backslashreplace"))


def write_with(path: str | Path, write: Callable[[Any], Any]) -> None:
    """Let `write` fill a temporary binary file next to `path`, then rename it to `path`."""
    with replacing(path) as stream:
        write(stream)


@contextmanager
def replacing(path: str | Path) -> Iterator[Any]:
    """A temporary binary file next to `path`, renamed to `path` when all went well.

    Links are followed: what they lead to is replaced. Pipes and terminals can't be, and are written into.

    Raises
    ------
    ConfigError
        The file can't be written, or is a folder or a disk.
    """
    path = target_of(path)
    try:
        if (target := _replaceable(path)) is None:
            with _Flow(open(path, "wb", buffering=0)) as stream:
                yield stream
            return
        with _temporary(target) as stream:
            yield stream
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:
        if isinstance(error, ValueError) and "null byte" not in str(error):
            raise
        raise ConfigError(f"{path}: can't be written ({reason(error)}); choose another place") from error


class _Flow(io.BufferedWriter):
    """A pipe or device. Nobody goes back in it, and the place is counted: a device would say 0, a pipe nothing."""

    written = 0

    def write(self, content: Any) -> int:
        count = super().write(content)
        self.written += count
        return count

    def tell(self) -> int:
        return self.written

    def seek(self, *place: int) -> int:
        raise io.UnsupportedOperation("seek")

    def seekable(self) -> bool:
        return False


def _replaceable(path: Path) -> Path | None:
    """The regular file that `path` names or leads to, there or not; None for what can only be written into."""
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISDIR(mode) or stat.S_ISBLK(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "a disk"
        raise ConfigError(f"{path}: can't be written (it is {what}); choose another place")
    return Path(os.path.realpath(path)) if stat.S_ISREG(mode) else None


@contextmanager
def _temporary(target: Path) -> Iterator[Any]:
    """A file next to `target` that takes its place when all went well."""
    remove_leftovers(target.parent)
    name = os.fsdecode(os.fsencode(target.name)[:100])  # a name may have 255 bytes
    temporary = target.parent / f".{name}.xbnet-{_machine()}-{os.getpid()}-{os.urandom(4).hex()}"
    rights = _rights_of(target)
    try:
        with open(temporary, "xb") as stream:
            if rights is not None:
                os.chmod(temporary, rights)
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def _rights_of(target: Path) -> int | None:
    """Who may read and write a file, which its successor keeps; None: there is none yet.

    Raises
    ------
    PermissionError
        It may not be written.
    """
    try:
        rights = stat.S_IMODE(os.stat(target).st_mode)
    except FileNotFoundError:
        return None
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))
    return rights


@cache
def _machine() -> str:
    return f"{zlib.crc32(node().encode()):08x}"


@cache
def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes of this machine that died while they wrote; once per folder and process."""
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = TEMPORARY.fullmatch(entry.name)
            if found and found[1] == _machine() and not _lives(int(found[2])):
                with suppress(OSError):
                    os.unlink(entry.path)


def _lives(process: int) -> bool:
    if os.name == "nt":  # os.kill would end it
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def place(path: str | os.PathLike[Any]) -> Path:
    """A path that the user named, with ``~`` replaced, there or not.

    Raises
    ------
    DataError
        It can't be one: its name is too long, who reads has no right to look there, or there is no such user.
    """
    try:
        found = Path(path).expanduser()
        found.exists()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{path}: can't be read ({reason(error)})") from None
    return found


def target_of(path: str | os.PathLike[Any], what: str = "") -> Path:
    """A path to be written to, called `what`, with ``~`` replaced.

    Raises
    ------
    ConfigError
        There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{what} {path}".strip() + f": can't be written ({reason(error)}); choose another") from None


def keep_input(out: str | Path, *sources: str | Path) -> None:
    """Refuse an `out` that is one of the files that are read."""
    for source in sources:
        same = False
        with suppress(OSError, ValueError):  # one can't be read or written, which others will say
            same = os.path.samefile(target_of(out), os.path.expanduser(source))
        if same:
            raise ConfigError(f"--out {out}: is the file that is read; choose another place")


def make_folder(path: str | Path, what: str = "--out") -> Path:
    """Make the folder `path`, called `what`, and make sure that files can be written there."""
    folder = target_of(path, what)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        raise ConfigError(f"{what} {folder}: can't be written ({reason(error)}); choose another folder") from error
    remove_leftovers(folder.absolute())
    return folder


_lent: ContextVar[tuple[int, int] | None] = ContextVar("lent", default=None)
"""The folder that a caller holds for what it calls: its device and number."""


@contextmanager
def only_one(folder: str | Path, *, lend: bool = False) -> Iterator[None]:
    """Let no two writers work in a folder at once, in this process or in others.

    The lock is the system's, on the folder itself: it leaves nothing behind, and ends with its process. Where the
    system or the disk has none, everybody is let in.

    Parameters
    ----------
    folder
        Must be there.
    lend
        Let those in who ask for the same folder within, in this context (see `contextvars`).

    Raises
    ------
    ConfigError
        Somebody else is at work there.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"{folder}: can't be read ({reason(error)}); choose another folder") from error
    about, before = os.fstat(handle), _lent.get()
    here, locked = (about.st_dev, about.st_ino), False
    try:
        try:
            if here != before:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked = True
        except BlockingIOError:
            raise ConfigError(f"{folder}: another run is writing there; wait for its end, or take another") from None
        except OSError:
            pass
        _lent.set(here if lend else before)
        yield
    finally:
        _lent.set(before)
        if locked:  # a child that was forked meanwhile has the handle, too
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
