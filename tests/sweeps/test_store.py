import json

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
    assert {row["schema"] for row in rows} == {"xbnet.sweep/1"}
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
    assert_same_table(expected, xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED))


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
    with pytest.raises(xbnet.DataError, match=r"\.npz: can't be read \(.*\); sweep into another folder$"):
        xbnet.sweep(SPACE, data, out=folder, resume=True, **FIXED)
    (folder / "sweep.json").write_text("{")
    with pytest.raises(xbnet.DataError, match=r"sweep\.json: is damaged; choose another folder$"):
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
