import hashlib
import io
import os
import re
import socket
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support import files as samples
from xbnet.datasets import download, fetch, load_dataset
from xbnet.datasets.download import Source
from xbnet.errors import ConfigError, DataError, printable

pytest.importorskip("pooch")


class Server(ThreadingHTTPServer):
    """Serves `files` from memory, with ranges; `cut_after` closes connections after that many bytes."""

    daemon_threads = True

    def __init__(self, files):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.cut_after, self.cuts, self.ranges, self.asked = files, 0, 0, True, []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        server, name = self.server, self.path.lstrip("/")
        wanted = self.headers.get("Range")
        server.asked.append((name, wanted))
        if name not in server.files:
            self.send_error(404)
            return
        body, start = server.files[name], 0
        if wanted and server.ranges:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(body):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(body)}")
                self.end_headers()
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        rest = body[start:]
        if server.cuts:
            server.cuts -= 1
            rest = rest[: server.cut_after]
        self.wfile.write(rest)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The user's folder of data sets."""
    monkeypatch.setenv("XBNET_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    platformdirs = pytest.importorskip("platformdirs")
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda *_, **__: tmp_path / "cache")
    return tmp_path / "data"


@pytest.fixture
def serve(monkeypatch):
    """A function that serves files as the source of mnist."""
    servers = []

    def serve(files, name="mnist", **checksums):
        server = Server(files)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        hashes = {file: hashlib.sha256(body).hexdigest() for file, body in files.items()}
        monkeypatch.setitem(download.SOURCES, name, Source({**hashes, **checksums}, (server.url,)))
        return server

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def mnist(tmp_path, serve):
    source = tmp_path / "source"
    source.mkdir()
    samples.mnist(source)
    return serve({path.name: path.read_bytes() for path in sorted(source.iterdir())})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def shown(line):
    """An error's line loses its middle where the path of the temporary folder is long."""
    return printable(line, DataError.longest)


def test_mnist_comes_whole_and_once(folder, mnist):
    assert fetch("mnist") == folder / "mnist"
    assert names(folder / "mnist") == sorted(mnist.files)
    assert {path.name: path.read_bytes() for path in (folder / "mnist").iterdir()} == mnist.files
    data = load_dataset("mnist", val=0.25)
    assert (data.name, len(data.train), len(data.val), len(data.test)) == ("mnist", 18, 6, 6)
    asked = len(mnist.asked)
    fetch("mnist")
    assert len(mnist.asked) == asked == 4


def test_the_cache_is_used_without_the_variable(folder, mnist, monkeypatch, tmp_path):
    monkeypatch.delenv("XBNET_DATA_DIR")
    assert fetch("mnist") == tmp_path / "cache" / "mnist"
    # What is in the cache is found although the variable names another folder.
    monkeypatch.setenv("XBNET_DATA_DIR", str(folder))
    assert len(load_dataset("mnist").train) == samples.N


def test_classes_have_their_names(folder, mnist, monkeypatch):
    source = download.SOURCES["mnist"]
    monkeypatch.setitem(download.SOURCES, "fashion-mnist", Source(source.files, source.mirrors, ("a", "b", "c")))
    fetch("fashion-mnist")
    assert load_dataset("fashion-mnist").classes == ("a", "b", "c")


def test_cifar10_is_unpacked(folder, tmp_path, serve):
    samples.cifar(tmp_path / "source" / "cifar-10-batches-py")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        tar.add(tmp_path / "source" / "cifar-10-batches-py", "cifar-10-batches-py")
    server = serve({"cifar-10-python.tar.gz": packed.getvalue()}, "cifar10")
    assert fetch("cifar10") == folder / "cifar10"
    assert names(folder / "cifar10") == ["cifar-10-batches-py"]
    assert len(load_dataset("cifar10").train) == 100
    fetch("cifar10")
    assert len(server.asked) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_a_cut_connection_goes_on_where_it_stopped(folder, mnist, ranges):
    mnist.cuts, mnist.cut_after, mnist.ranges = 2, 40, ranges
    if ranges:
        fetch("mnist")
        first = next(iter(mnist.files))
        assert mnist.asked[:3] == [(first, None), (first, "bytes=40-"), (first, "bytes=80-")]
        assert load_dataset("mnist").n_inputs == 16
    else:  # a server without ranges begins anew: nothing is gained by asking again and again
        with pytest.raises(DataError) as caught:
            fetch("mnist")
        assert re.search(r"the connection was cut after 40 of \d+ bytes; they are kept; check", caught.value.args[0])
        fetch("mnist")
        assert load_dataset("mnist").n_inputs == 16


def test_a_later_call_goes_on_too(folder, mnist):
    mnist.cuts, mnist.cut_after = 100, 0
    size = len(next(iter(mnist.files.values())))
    part = folder / "mnist" / (next(iter(mnist.files)) + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes(next(iter(mnist.files.values()))[:30])
    line = (
        f"fetch: expected to download {part.stem}, got {mnist.url}{part.stem}: the connection was cut after 30 of "
        f"{size} bytes; they are kept; check the network and try again, or put the file into {part.parent} yourself"
    )
    with pytest.raises(DataError, match=re.escape(shown(line)) + r"\Z"):
        fetch("mnist")
    assert names(folder / "mnist") == [part.name]
    mnist.cuts = 0
    fetch("mnist")
    assert mnist.asked[1][1] == "bytes=30-"
    assert names(folder / "mnist") == sorted(mnist.files)


def test_too_many_cuts(folder, mnist):
    mnist.cuts, mnist.cut_after = 100, 1
    with pytest.raises(DataError) as caught:
        fetch("mnist")
    assert ": the connection was cut 5 times; what came is kept; check the network" in caught.value.args[0]


@pytest.mark.parametrize("kept", ["whole", "too long", "wrong"])
def test_what_was_kept_is_checked(folder, mnist, kept):
    name, body = next(iter(mnist.files.items()))
    part = folder / "mnist" / (name + ".part")
    part.parent.mkdir(parents=True)
    part.write_bytes({"whole": body, "too long": body + b"more", "wrong": b"x" * 20}[kept])
    if kept == "whole":
        fetch("mnist")
    else:
        reason = {"too long": "the server has less than was kept; that was removed",
                  "wrong": "another checksum than SHA-256 "}[kept]  # fmt: skip
        with pytest.raises(DataError, match=reason):
            fetch("mnist")
        fetch("mnist")
    assert names(folder / "mnist") == sorted(mnist.files)


def test_a_wrong_checksum(folder, serve):
    server = serve({"a.gz": b"content"}, **{"a.gz": "0" * 64})
    line = (
        f"fetch: expected to download a.gz, got {server.url}a.gz: another checksum than SHA-256 00000000..., the "
        f"file was not kept; check the network and try again, or put the file into {folder / 'mnist'} yourself"
    )
    with pytest.raises(DataError, match=re.escape(shown(line)) + r"\Z"):
        fetch("mnist")
    assert names(folder / "mnist") == []


def test_the_next_mirror_is_tried(folder, mnist, monkeypatch):
    source = download.SOURCES["mnist"]
    mirrors = (mnist.url + "gone/", *source.mirrors)
    monkeypatch.setitem(download.SOURCES, "mnist", Source(source.files, mirrors))
    fetch("mnist")
    assert names(folder / "mnist") == sorted(mnist.files)


def test_the_server_has_no_such_file(folder, mnist, monkeypatch):
    monkeypatch.setitem(download.SOURCES, "mnist", Source({"b.gz": "0" * 64}, (mnist.url,)))
    line = (
        f"fetch: expected to download b.gz, got {mnist.url}b.gz: the server says 404 Not Found; check the network "
        f"and try again, or put the file into {folder / 'mnist'} yourself"
    )
    with pytest.raises(DataError, match=re.escape(shown(line)) + r"\Z"):
        fetch("mnist")


def test_no_network(folder, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/"
    monkeypatch.setitem(download.SOURCES, "mnist", Source({"b.gz": "0" * 64}, (url,)))
    line = (
        f"fetch: expected to download b.gz, got {url}b.gz: no connection ([Errno 111] Connection refused); check "
        f"the network and try again, or put the file into {folder / 'mnist'} yourself"
    )
    with pytest.raises(DataError, match=re.escape(shown(line)).replace("111", r"\d+") + r"\Z"):
        fetch("mnist")


def test_another_file_is_there(folder, mnist):
    path = folder / "mnist" / next(iter(mnist.files))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"mine")
    path.rename(path.with_name("t10k-images-idx3-ubyte.gz"))
    path = path.with_name("t10k-images-idx3-ubyte.gz")
    start = f"fetch: {path} is there, but is not the published file (SHA-256 "
    with pytest.raises(DataError, match=re.escape(start) + r"\w{8}\.\.\.\); remove it to download that one\Z"):
        fetch("mnist")
    assert path.read_bytes() == b"mine"


def test_a_folder_that_cannot_be_written(tmp_path, folder, mnist):
    folder.write_text("a file")
    with pytest.raises(
        DataError, match=r"fetch: can't write to .*mnist \(.*\); set XBNET_DATA_DIR to another folder\Z"
    ):
        fetch("mnist")


def test_without_pooch(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    line = r"^fetch: downloading mnist needs pooch and platformdirs; pip install pooch platformdirs\Z"
    with pytest.raises(DataError, match=line):
        fetch("mnist")


def test_unknown_name():
    line = r"^fetch: unknown data set 'minst'; did you mean 'mnist'\? known are cifar10, fashion-mnist, mnist\Z"
    with pytest.raises(ConfigError, match=line):
        fetch("minst")


def test_a_set_that_is_not_here(folder, tmp_path):
    line = (
        f"load_dataset: mnist is not here (looked in {folder} and {tmp_path / 'cache'}); "
        "get it with: xbnet data fetch mnist"
    )
    with pytest.raises(DataError, match=re.escape(shown(line)) + r"\Z"):
        load_dataset("mnist")
    with pytest.raises(ConfigError, match=r"^load_dataset: gmm has its own target and task; leave them out\Z"):
        load_dataset("gmm", target="x")


def test_the_progress_bar(folder, mnist, capsys):
    fetch("mnist", progress=False)
    assert capsys.readouterr() == ("", "")
    for path in (folder / "mnist").iterdir():
        os.unlink(path)
    fetch("mnist", progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    assert "train-images-idx3-ubyte.gz: 100%" in err


def test_the_sources_are_complete():
    for source in download.SOURCES.values():
        assert all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in source.files.values())
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
