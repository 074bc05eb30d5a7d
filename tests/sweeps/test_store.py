import json
import os

import numpy as np
import pytest

import xbnet

from .conftest import assert_same_table, make_data

SPACE = {"lr": [0.01, 0.1, 1.0], "l2": [0, 0.01], "hidden": [(5,), (4, 3)]}
FIXED = {"epochs": 4, "patience": 2, "folds": 2}


@pytest.fixture
def kept(data, tmp_path):
    return xbnet.sweep(SPACE, data, out=tmp_path / "run", workers=2, **FIXED), tmp_path / "run"


def test_each_network_has_a_line(kept):
    result, folder = kept
    rows = [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]
    assert sorted(row["member"] for row in rows) == list(range(len(result)))
    assert {row["schema"] for row in rows} == {"xbnet.sweep/4"}
    row = rows[0]
    assert {"configuration", "weight_seed", "fold", "lr", "l2", "hidden", "status", "best_epoch"} <= set(row)
    assert all((folder / row["arrays"]).exists() for row in rows)


@pytest.mark.parametrize("lines", [0, 1, 7, 24])
def test_a_killed_sweep_goes_on_to_the_same_table(data, kept, lines, monkeypatch):
    expected, folder = kept
    path = folder / "results.jsonl"
    text = path.read_text().splitlines(keepends=True)
    path.write_text("".join(text[:lines]) + (text[lines][:40] if lines < len(text) else ""))
    again = xbnet.sweep(SPACE, data, out=folder, resume=True, workers=1, memory=200_000, **FIXED)
    assert_same_table(expected, again)
    assert len(path.read_text().splitlines()) == len(expected)
    assert_same_table(expected, xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED))


def test_nothing_is_trained_again(data, kept, monkeypatch):
    from xbnet.sweeps import board

    expected, folder = kept
    monkeypatch.setattr(board, "run_chunk", lambda *a: pytest.fail("trained again"))
    assert_same_table(expected, xbnet.sweep(SPACE, data, out=folder, resume=True, dtype=np.float32, **FIXED))


def test_a_folder_is_not_overwritten_nor_mixed(data, kept):
    _, folder = kept
    with pytest.raises(xbnet.ConfigError) as caught:
        xbnet.sweep(SPACE, data, out=folder, **FIXED)
    assert str(caught.value) == f"{folder}: holds a sweep already; go on with it by resume, or choose another"
    for space, other, fixed, differs in (
        (SPACE | {"lr": [0.5]}, data, FIXED, "its space or settings differ"),
        (SPACE, make_data(seed=1), FIXED, "its data differ"),
        (SPACE, data, FIXED | {"epochs": 5}, "its space or settings differ"),
        (SPACE, data, FIXED | {"sample_weight": [2.0] * 120}, "its data differ"),
        (SPACE, data, FIXED | {"class_weight": [1, 2, 3]}, "its space or settings differ"),
    ):
        with pytest.raises(xbnet.ConfigError) as caught:
            xbnet.sweep(space, other, out=folder, resume=True, **fixed)
        assert str(caught.value) == f"{folder}: holds another sweep ({differs}); choose another folder"


def test_damaged_files_are_one_line(data, kept):
    _, folder = kept
    next((folder / "chunks").iterdir()).write_bytes(b"nonsense")
    with pytest.raises(xbnet.DataError, match=r"\.safetensors: is not a safetensors file, or is damaged \(.*\)$"):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
    (folder / "sweep.json").write_text("{")
    with pytest.raises(xbnet.DataError, match=r"sweep\.json: is damaged; sweep into another folder$"):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)


def test_an_interrupted_sweep_keeps_what_has_ended(data, tmp_path, monkeypatch):
    from xbnet.sweeps import board

    real, calls = board.run_chunk, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(board, "run_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        xbnet.sweep(SPACE, data, out=tmp_path / "run", workers=1, **FIXED)
    monkeypatch.setattr(board, "run_chunk", real)
    assert 0 < len((tmp_path / "run" / "results.jsonl").read_text().splitlines()) < 24
    again = xbnet.sweep(SPACE, data, out=tmp_path / "run", resume=True, **FIXED)
    assert_same_table(xbnet.sweep(SPACE, data, **FIXED), again)


# -- nothing there is believed -------------------------------------------------------------------------------------------


def row_with(**changes):
    def change(folder):
        path = folder / "results.jsonl"
        first, *others = path.read_text().splitlines(keepends=True)
        path.write_text(json.dumps(json.loads(first) | changes) + "\n" + "".join(others))

    return change


def line(content):
    def change(folder):
        path = folder / "results.jsonl"
        path.write_bytes(content + b"\n" + path.read_bytes())

    return change


def twice(folder):
    path = folder / "results.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0] + path.read_text())


LINE = r"results\.jsonl: line \d+ is damaged; sweep into another folder$"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (row_with(member="0"), LINE),
        (row_with(member=999), LINE),
        (row_with(member=True), LINE),
        (row_with(status=["finished"]), LINE),
        (row_with(score="1"), LINE),
        (row_with(val_loss=-(10**400)), LINE),
        (row_with(last_epoch=1.5), LINE),
        (row_with(best_epoch=99), LINE),
        (row_with(arrays="../../etc/passwd"), LINE),
        (row_with(arrays=7), LINE),
        (row_with(arrays="chunks/000000-000000000000.safetensors"), "there is no such file"),
        (row_with(last_epoch=4000), "curves reach to the last epoch"),
        (line(b"[]"), LINE),
        (line(b"[" * 100_000), LINE),
        (line(b'{"member": ' + b"9" * 5000 + b"}"), LINE),
        (line(b"\xff\xfe"), r"results\.jsonl: can't be read \(.*utf-8.*\); sweep into another folder$"),
        (twice, LINE),
        (lambda folder: (folder / "sweep.json").write_text("[" * 100_000), r"sweep\.json: is damaged"),
        (lambda folder: (folder / "sweep.json").write_bytes(b"\xff"), r"sweep\.json: can't be read"),
    ],
)
def test_what_the_sweep_did_not_write_is_one_line(data, kept, change, said):
    _, folder = kept
    change(folder)
    with pytest.raises(xbnet.DataError, match=said) as caught:
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
    assert len(str(caught.value)) <= 300


@pytest.mark.parametrize("name", ["theta", "curves.lr", "members"])
def test_arrays_of_another_size_are_one_line(data, kept, name):
    from xbnet.io.tensorfile import read_tensors, write_tensors
    from xbnet.sweeps.store import KIND

    _, folder = kept
    path = next((folder / "chunks").iterdir())
    arrays = dict(read_tensors(path, KIND).arrays)
    write_tensors(path, KIND, arrays | {name: arrays[name][..., :-1].copy()}, {})
    with pytest.raises(xbnet.DataError, match=r"\.safetensors: expected that"):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
    write_tensors(path, KIND, arrays | {name: np.zeros((1, 1, 1))}, {})
    with pytest.raises(xbnet.DataError, match=r"\.safetensors: "):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)


@pytest.mark.parametrize("name", ["results.jsonl", "sweep.json"])
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_pipe_or_a_folder_in_a_file_s_place_hangs_nobody(data, kept, name):
    _, folder = kept
    (folder / name).unlink()
    os.mkfifo(folder / name)
    for _ in range(2):
        with pytest.raises(xbnet.DataError, match=f"{name}: is not a file; sweep into another folder$"):
            xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
        (folder / name).unlink(missing_ok=True) if (folder / name).is_fifo() else None
        (folder / name).mkdir(exist_ok=True)


def test_what_stands_in_the_way_is_one_line(data, tmp_path):
    (tmp_path / "chunks").write_text("in the way")
    with pytest.raises(xbnet.ConfigError, match=r"chunks: can't be written \(File exists\); choose another folder$"):
        xbnet.sweep(SPACE, data, out=tmp_path, **FIXED)


def test_two_sweeps_into_one_folder_at_once_are_refused(data, kept):
    from xbnet.files import only_one

    _, folder = kept
    with only_one(folder), pytest.raises(xbnet.ConfigError, match="another run is writing there"):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
