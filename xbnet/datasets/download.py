"""Fetching the public data sets into the user's cache: resumable, and checked by their checksums.

`fetch` goes through pooch (extra ``data``), which compares checksums and puts files into place whole.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError, unknown_name
from .formats import cifar, idx

if TYPE_CHECKING:
    from urllib.error import HTTPError

_ATTEMPTS = 5  # to go on after a cut connection, as long as each brings something
_TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class Source:
    """Where a public data set comes from.

    Parameters
    ----------
    files : dict
        SHA-256 of each file, by name.
    mirrors : tuple of str
        Addresses that end before the name of the file, tried in order.
    classes : tuple of str, optional
        Names of the classes, where the files do not hold them.
    """

    files: dict[str, str]
    mirrors: tuple[str, ...]
    classes: tuple[str, ...] | None = None


#: The public data sets by name. The checksums are those that several projects have published alike.
SOURCES = {
    "mnist": Source(
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        (
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
    ),
    "fashion-mnist": Source(
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        (
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ),
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
    ),
    "cifar10": Source(
        {"cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        ("https://www.cs.toronto.edu/~kriz/",),
    ),
}


def data_folders() -> list[Path]:
    """Where data sets are looked for: ``XBNET_DATA_DIR`` if it is set, then the user's cache."""
    folders = [Path(own).expanduser()] if (own := os.environ.get("XBNET_DATA_DIR")) else []
    try:
        import platformdirs
    except ImportError:
        return folders
    return [*folders, platformdirs.user_cache_path("xbnet", appauthor=False)]


def find(name: str) -> Path | None:
    """The folder of a public data set that is on this machine, or None."""
    for folder in data_folders():
        for inner in (folder / name, folder):
            # MNIST and its look-alikes have the same files: these must be in a folder of their own.
            if name == "cifar10" and inner.is_dir() and cifar.is_cifar_folder(inner):
                return inner
            if name != "cifar10" and inner != folder and idx.is_idx_folder(inner):
                return inner
    return None


def fetch(name: str, *, progress: bool | None = None) -> Path:
    """Download a public data set, unless it is there already.

    Files go into a folder `name` in ``XBNET_DATA_DIR`` if that is set, else in the user's cache. A download
    that was cut off goes on where it stopped, in this call or the next.

    Parameters
    ----------
    name
        ``"mnist"``, ``"fashion-mnist"`` or ``"cifar10"``.
    progress
        Whether to draw a progress bar on stderr; by default where stderr is a terminal.

    Returns
    -------
    Path
        The folder, which `load_dataset` reads; also by `name`.

    Raises
    ------
    ConfigError
        If the name is not known.
    DataError
        If there is no network, a file has another checksum than expected, or it can't be written.

    Examples
    --------
    >>> import xbnet
    >>> try:  # an unknown name is refused before anything is downloaded
    ...     fetch("mnits")
    ... except xbnet.ConfigError as error:
    ...     print(error)
    fetch: unknown data set 'mnits'; did you mean 'mnist'? ...
    """
    if name not in SOURCES:
        raise unknown_name("fetch", "data set", name, SOURCES)
    if (there := find(name)) is not None:
        return there
    folders = data_folders()
    try:
        import pooch
    except ImportError:
        pooch = None
    if pooch is None or not folders:
        raise DataError(f"fetch: downloading {name} needs pooch and platformdirs; pip install pooch platformdirs")
    folder = folders[0] / name
    show = sys.stderr.isatty() if progress is None else progress
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, checksum in SOURCES[name].files.items():
            _fetch_file(pooch, SOURCES[name], folder / file, checksum, show)
            if file.endswith(".tar.gz"):
                _unpack(folder / file)
    except OSError as error:
        raise DataError(
            f"fetch: can't write to {folder} ({error.strerror or error}); set XBNET_DATA_DIR to another folder"
        ) from None
    return folder


class _Interrupted(Exception):
    """A download that did not come to its end; the text says why."""


def _fetch_file(pooch: Any, source: Source, path: Path, checksum: str, progress: bool) -> None:
    """Bring one file to `path`, from the first mirror that gives it whole."""
    if path.exists() and not pooch.file_hash(str(path)) == checksum:
        raise DataError(
            f"fetch: {path} is there, but is not the published file (SHA-256 {checksum[:8]}...); "
            "remove it to download that one"
        )
    pooch.get_logger().setLevel("ERROR")
    troubles = []
    for mirror in source.mirrors:
        url = mirror + path.name
        download = _Download(path.with_name(path.name + ".part"), progress)
        try:
            pooch.retrieve(url, f"sha256:{checksum}", path.name, path.parent, downloader=download)
            return
        except _Interrupted as error:
            troubles.append(f"{url}: {error}")
        except ValueError:  # what pooch raises, having removed the file
            troubles.append(f"{url}: another checksum than SHA-256 {checksum[:8]}..., the file was not kept")
    raise DataError(
        f"fetch: expected to download {path.name}, got {'; '.join(troubles)}; "
        f"check the network and try again, or put the file into {path.parent} yourself"
    )


@dataclass(frozen=True)
class _Download:
    """A downloader for pooch that keeps what it has got in `part` and asks for the rest.

    A mixture of two versions of a file on the server will not pass the checksum.
    """

    part: Path
    progress: bool

    def __call__(self, url: str, output_file: str, pooch: Any) -> None:
        """Download `url`, going on from `part`, and move it to `output_file`."""
        for _ in range(_ATTEMPTS):
            before = self._size()
            try:
                self._go_on(url)
                break
            except _Interrupted:
                if self._size() <= before:
                    raise
        else:
            raise _Interrupted(f"the connection was cut {_ATTEMPTS} times; what came is kept")
        os.replace(self.part, output_file)

    def _size(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _go_on(self, url: str) -> None:
        # Here and not above: these take longer to import than the rest of `xbnet.datasets` together.
        from http.client import HTTPException
        from urllib.error import HTTPError, URLError
        from urllib.request import Request, urlopen

        from tqdm import tqdm

        have = self._size()
        request = Request(url, headers={"User-Agent": "xbnet"})
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            with urlopen(request, timeout=_TIMEOUT) as response:
                goes_on = response.status == 206 and _starts_at(response, have)
                have = have if goes_on else 0
                length = response.headers.get("Content-Length")
                total = have + int(length) if length else None
                with (
                    open(self.part, "ab" if goes_on else "wb") as file,
                    tqdm(
                        total=total,
                        initial=have,
                        unit="B",
                        unit_scale=True,
                        desc=self.part.stem,
                        disable=not self.progress,
                    ) as bar,
                ):
                    while chunk := response.read(1 << 16):
                        file.write(chunk)
                        bar.update(len(chunk))
        except HTTPError as error:
            if error.code == 416:  # nothing left to send, or less than is here: the checksum will tell
                if _full_size(error) == have:
                    return
                self.part.unlink()
                raise _Interrupted("the server has less than was kept; that was removed") from None
            raise _Interrupted(f"the server says {error.code} {error.reason}") from None
        except (URLError, HTTPException, ConnectionError, TimeoutError) as error:
            raise _Interrupted(f"no connection ({getattr(error, 'reason', None) or error})") from None
        if total is not None and self._size() < total:
            raise _Interrupted(f"the connection was cut after {self._size()} of {total} bytes; they are kept")


def _starts_at(response: Any, have: int) -> bool:
    """Whether a partial response begins where it was asked to."""
    return str(response.headers.get("Content-Range", "")).startswith(f"bytes {have}-")


def _full_size(error: HTTPError) -> int | None:
    """The size of the file, as a refused range says it: ``bytes */SIZE``."""
    size = str(error.headers.get("Content-Range", "")).rpartition("/")[2]
    return int(size) if size.isdecimal() else None


def _unpack(archive: Path) -> None:
    """Unpack CIFAR-10's folder next to its archive, as a whole or not at all, and remove the archive."""
    import tarfile
    import tempfile

    target = archive.parent / cifar.FOLDER
    with tempfile.TemporaryDirectory(dir=archive.parent) as temporary:
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(Path(temporary) / cifar.FOLDER, target)
    archive.unlink()
