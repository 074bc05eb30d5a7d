import os
import signal
import stat
import subprocess
import sys
import threading

import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import ConfigError
from xbnet.files import make_folder, only_one, remove_leftovers, write_bytes, write_text, write_with


def test_files_are_replaced_whole(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "first")
    write_bytes(path, "größer".encode())
    assert path.read_text(encoding="utf-8") == "größer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def fail(stream):
        stream.write(b"half")
        raise KeyError("in between")

    with pytest.raises(KeyError):
        write_with(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_permissions_are_those_of_an_ordinary_file(tmp_path):
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    write_text(tmp_path / "written", "x")
    modes = [stat.S_IMODE(os.stat(path).st_mode) for path in (ordinary, tmp_path / "written")]
    assert modes[0] == modes[1]


def test_a_replaced_file_keeps_its_rights_and_a_protected_one_stays(tmp_path, monkeypatch):
    path = tmp_path / "mine"
    path.touch()
    path.chmod(0o600)
    write_text(path, "x")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write all
    with refuses(ConfigError, f"{path}: can't be written (Permission denied); choose another place"):
        write_text(path, "y")
    assert path.read_text() == "x"


def test_files_of_many_threads_leave_the_umask_alone(tmp_path, monkeypatch):
    """It belongs to the process: two threads that set it, and set it back, leave it open to all."""
    monkeypatch.setattr(os, "umask", None)
    write_text(tmp_path / "a", "x")


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "a.txt"
    with refuses(ConfigError, f"{path}: can't be written (Not a directory); choose another place"):
        write_text(path, "x")
    with refuses(ConfigError, f"--out {path.parent}: can't be written (File exists); choose another folder"):
        make_folder(path.parent)


def test_make_folder(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_folder(tmp_path / "a" / "b").is_dir()


# -- what is no regular file ---------------------------------------------------------------------------------------------


def test_a_link_is_followed(tmp_path):
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there" / "old.txt", tmp_path / "there" / "new.txt"):
        link = tmp_path / f"to-{target.name}"
        link.symlink_to(target)
        if target.name == "old.txt":
            target.write_text("before")
        write_text(link, "after")
        assert link.is_symlink()
        assert target.read_text() == "after"
    assert sorted(path.name for path in (tmp_path / "there").iterdir()) == ["new.txt", "old.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_is_written_into_and_stays(tmp_path):
    fifo, found = tmp_path / "fifo", []
    os.mkfifo(fifo)
    reader = threading.Thread(target=lambda: found.append(fifo.read_bytes()))
    reader.start()
    write_text(fifo, "into")
    reader.join(60)
    assert found == [b"into"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def device(path, kind, major, minor):
    """A node of the test's own; only root may make one."""
    try:
        os.mknod(path, kind | 0o600, os.makedev(major, minor))
        if kind == stat.S_IFCHR:
            with open(path, "wb"):
                pass
    except (OSError, AttributeError):
        pytest.skip("no device nodes can be made here")
    return path


def test_a_device_is_written_into_and_stays(tmp_path):
    null = device(tmp_path / "null", stat.S_IFCHR, 1, 3)
    write_text(null, "into nothing")
    write_with(null, lambda stream: np.savez(stream, a=np.zeros(9)))  # a zip asks where it is
    assert stat.S_ISCHR(null.stat().st_mode)


def test_a_full_device_is_one_line(tmp_path):
    full = device(tmp_path / "full", stat.S_IFCHR, 1, 7)
    with refuses(ConfigError, f"{full}: can't be written (No space left on device); choose another place"):
        write_text(full, "more than nothing")
    assert stat.S_ISCHR(full.stat().st_mode)


def test_disks_and_folders_are_refused(tmp_path, monkeypatch):
    with refuses(ConfigError, f"{tmp_path}: can't be written (it is a folder); choose another place"):
        write_text(tmp_path, "x")
    disk = tmp_path / "disk"
    disk.touch()
    status = os.stat(disk)
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result((stat.S_IFBLK | 0o600, *status[1:])))
    with refuses(ConfigError, f"{disk}: can't be written (it is a disk); choose another place"):
        write_text(disk, "x")


def test_names_that_are_long_or_impossible(tmp_path):
    write_text(tmp_path / ("é" * 127), "as long as a name can be")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["as long as a name can be"]
    with pytest.raises(ConfigError, match="File name too long"):
        write_text(tmp_path / ("x" * 256), "x")
    with pytest.raises(ConfigError, match="embedded null"):
        write_text(tmp_path / "a\0b", "x")
    with pytest.raises(ConfigError, match="File name too long"):
        make_folder(tmp_path / ("x" * 256))


# -- what others left and hold ----------------------------------------------------------------------------------------------


DIES = """
import os, signal, sys
from xbnet.files import replacing
with replacing(sys.argv[1]) as stream:
    stream.write(b"half")
    stream.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes there don't say who lives")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("old")
    subprocess.run([sys.executable, "-c", DIES, str(path)], check=False)
    (left,) = (one for one in tmp_path.iterdir() if one != path)
    others = left.with_name(left.name.replace("xbnet-", "xbnet-0000"))  # of another machine
    mine = left.with_name(f".a.xbnet-{left.name.split('xbnet-')[1][:8]}-{os.getpid()}-abcdefgh")
    for kept in (others, mine):
        kept.touch()
    remove_leftovers.cache_clear()
    assert path.read_text() == "old"
    make_folder(tmp_path)
    assert set(tmp_path.iterdir()) == {path, others, mine}


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no locks there")
def test_one_writer_at_a_time(tmp_path):
    line = f"{tmp_path}: another run is writing there; wait for its end, or take another"
    with only_one(tmp_path), refuses(ConfigError, line), only_one(tmp_path):
        pass
    with only_one(tmp_path):  # given back
        pass
    assert not list(tmp_path.iterdir())
    with only_one(tmp_path):
        child = os.fork()
        if not child:  # which has the lock's handle, too
            signal.pause()
    try:
        with only_one(tmp_path):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with pytest.raises(ConfigError, match="can't be read"), only_one(tmp_path / "nowhere"):
        pass
