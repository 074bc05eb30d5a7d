import os
import stat

import pytest

from tests.support.errors import refuses
from xbnet import ConfigError
from xbnet.files import make_folder, write_bytes, write_text, write_with


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
