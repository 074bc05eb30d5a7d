"""Halving in sweeps: who leaves at which rung, in which bits, and that nothing is trained twice."""

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.sweeps.halving import Bracket, Halving, make_brackets, network_epochs, parse_halving, rung_of
from xbnet.training.trainer import Trainer

from .conftest import assert_same_table

SPACE = {"lr": [0.003, 0.01, 0.03, 0.1, 0.3, 1.0], "l2": [0, 0.001, 0.1]}
FIXED = {"epochs": 9, "folds": 2, "hidden": (5,)}


def brackets(n, epochs=81, **how):
    return make_brackets(range(n), epochs, Halving(**how), np.random.default_rng(0))


@pytest.fixture(scope="module")
def full(data):
    return xbnet.sweep(SPACE, data, **FIXED)


def ranks(full, epoch, configurations):
    """Configurations, best first, by the curves of a sweep in which nobody leaves."""
    score = {
        c: np.mean([full.history(m.index)["val_loss"][:epoch].min() for m in full.members if m.configuration == c])
        for c in configurations
    }
    return sorted(score, key=score.__getitem__)


# -- which rungs there are ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "how", "rungs"),
    [
        (500, {}, (1, 3, 9, 27, 81)),
        (9, {}, (9, 27, 81)),
        (2, {}, (81,)),
        (500, {"min_epochs": 4}, (9, 27, 81)),
        (500, {"min_epochs": 500}, (81,)),
        (16, {"factor": 4.0}, (5, 20, 81)),
        (100, {"factor": 2.5}, (2, 5, 13, 32, 81)),
    ],
)
def test_rungs_are_as_many_as_configurations_and_epochs_allow(n, how, rungs):
    [bracket] = brackets(n, **how)
    assert bracket.rungs == rungs


def test_hyperband_shares_out_all_configurations_as_its_paper_does():
    found = brackets(143, hyperband=True)  # 81 + 34 + 15 + 8 + 5, of algorithm 1 with R = 81
    assert [len(bracket.configurations) for bracket in found] == [81, 34, 15, 8, 5]
    assert [bracket.rungs[0] for bracket in found] == [1, 3, 9, 27, 81]
    assert sorted(c for bracket in found for c in bracket.configurations) == list(range(143))
    assert sum(len(bracket.configurations) for bracket in brackets(3, hyperband=True)) == 3


def test_network_epochs_are_those_that_are_trained():
    assert network_epochs(brackets(81), 3, networks=2) == 2 * (81 * 1 + 27 * 2 + 9 * 6 + 3 * 18 + 1 * 54)


def test_the_rung_of_one_that_left():
    bracket = Bracket((0,), (1, 3, 9))
    assert rung_of(bracket, [("pruned", 3), ("stopped", 2)]) == 2
    assert rung_of(bracket, [("finished", 9), ("diverged", 1)]) == 3
    assert rung_of(bracket, [("stopped", 2), ("diverged", 1)]) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (3, Halving(3.0)),
        ("4", Halving(4.0)),
        ("hyperband", Halving(3.0, hyperband=True)),
        ("asha:2.5", Halving(2.5, asynchronous=True)),
    ],
)
def test_what_may_be_said(text, expected):
    assert parse_halving(text) == expected


@pytest.mark.parametrize("text", [1, "1", "asha:x", "sha", float("nan"), [3], "hyperband:0", True])
def test_what_may_not_be_said_is_one_line(text):
    line = f"sweep: expected halving to be a factor > 1 like 3, or hyperband or asha, or asha:4, got {text!r}"
    with refuses(xbnet.ConfigError, line):
        parse_halving(text)


def test_settings_that_do_not_fit_are_one_line(data):
    with refuses(
        xbnet.ConfigError, "sweep: halving ranks after equal numbers of epochs; give one value of epochs, got [1, 2]"
    ):
        xbnet.sweep({"epochs": [1, 2]}, data, halving=3)
    with refuses(xbnet.ConfigError, "sweep: min_epochs is the first rung of halving; give halving=3, or leave it out"):
        xbnet.sweep({"lr": [1, 2]}, data, epochs=2, min_epochs=1)
    result = xbnet.sweep({"lr": [1, 2]}, data, epochs=2)
    with refuses(xbnet.ConfigError, "plot_rungs: expected a sweep with halving; give halving=3"):
        result.plot_rungs()
    assert "rung" not in next(result.rows())


# -- who leaves -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"workers": 3}, {"memory": 60_000, "workers": 2}])
def test_the_best_third_goes_on_wherever_the_chunks_are_cut(data, full, how):
    result = xbnet.sweep(SPACE, data, halving=3, **FIXED, **how)
    inside = list(range(18))
    for number, (epoch, stay) in enumerate(((1, 6), (3, 2)), 1):
        ranked = ranks(full, epoch, inside)
        left = {c for c, place in result.left_at().items() if place["rung"] == number}
        assert left == set(ranked[stay:])
        inside = ranked[:stay]
    assert {c for c, place in result.left_at().items() if place["rung"] == 3} == set(inside)
    assert [row["last_epoch"] for row in result.rows()] == [(1, 3, 9)[row["rung"] - 1] for row in result.rows()]
    assert set(result.column("status")) == {"pruned", "finished"}
    assert result.best["rung"] == 3
    for row in result.rows():  # each ends as after so many epochs in the sweep in which nobody leaves
        member, last = row["member"], row["last_epoch"]
        np.testing.assert_array_equal(result.history(member)["val_loss"], full.history(member)["val_loss"][:last])
    xbnet.assert_replica_equal(result, range(0, 36, 9))


@pytest.mark.parametrize("how", ["3", "hyperband", "asha"])
def test_no_epoch_is_trained_twice(data, monkeypatch, how):
    trained = []
    run = Trainer._run_epoch

    def counted(self, *arguments):
        trained.append(len(self.rows))
        return run(self, *arguments)

    monkeypatch.setattr(Trainer, "_run_epoch", counted)
    result = xbnet.sweep(SPACE, data, halving=how, workers=1, memory=60_000, **FIXED)
    assert sum(trained) == result.column("last_epoch").sum()
    if how != "asha":
        assert sum(trained) == network_epochs(result.brackets, 3, networks=2)


def test_work_shrinks_with_those_that_leave(data):
    result = xbnet.sweep(SPACE, data, halving=3, **FIXED)
    assert result.column("last_epoch").sum() == 2 * (18 * 1 + 6 * 2 + 2 * 6)


def test_asha_promotes_nobody_who_was_not_among_the_best_then(data, full):
    result = xbnet.sweep(SPACE, data, halving="asha", workers=2, memory=40_000, **FIXED)
    left = {c: place["rung"] for c, place in result.left_at().items()}
    for k, epoch in enumerate((1, 3), 1):
        there = [c for c in left if left[c] >= k]
        promoted = {c for c in there if left[c] > k}
        assert len(promoted) >= max(1, len(there) // 3)
        assert set(ranks(full, epoch, there)[: len(there) // 3]) <= promoted
    xbnet.assert_replica_equal(result, range(0, 36, 9))


def test_those_that_stop_stay_in_the_ranking_and_those_that_diverge_do_not(data):
    space = [{"lr": lr} for lr in (1e-9, 1e-8, 0.1, 0.2, 1e30, 0.3, 1e31, 0.05, 1e-7)]
    result = xbnet.sweep(space, data, halving=3, epochs=9, patience=1, loss="mse", activation="relu")
    statuses = dict(zip(range(9), result.column("status"), strict=True))
    assert statuses[4] == statuses[6] == "diverged"
    assert result.left_at()[4]["rung"] == 1
    assert result.best["settings"]["lr"] in (0.05, 0.1, 0.2, 0.3)
    xbnet.assert_replica_equal(result)


# -- interruptions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("how", "after"), [(3, 1), (3, 6), ("hyperband", 3)])
def test_an_interrupted_halving_goes_on_to_the_same_table(data, tmp_path, monkeypatch, how, after):
    from xbnet.sweeps import board

    fixed = FIXED | {"halving": how, "memory": 100_000, "workers": 1}
    expected = xbnet.sweep(SPACE, data, **fixed)
    real, calls = board.run_chunk, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(board, "run_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        xbnet.sweep(SPACE, data, out=tmp_path / "run", **fixed)
    monkeypatch.setattr(board, "run_chunk", lambda *a: calls.append(a) or real(*a))
    calls.clear()
    again = xbnet.sweep(SPACE, data, out=tmp_path / "run", resume=True, **fixed | {"workers": 2, "memory": None})
    assert_same_table(expected, again)
    assert not (tmp_path / "run" / "paused").exists()
    assert any(len(call) > 3 and call[4] is not None for call in calls)  # some went on from where they stood
    with refuses(
        xbnet.ConfigError,
        f"{tmp_path / 'run'}: holds another sweep (its halving or sampler differs); choose another folder",
    ):
        xbnet.sweep(SPACE, data, out=tmp_path / "run", resume=True, **fixed | {"halving": 2})


def test_damaged_paused_networks_are_one_line(data, tmp_path, monkeypatch):
    from xbnet.sweeps import board

    fixed, real, calls = FIXED | {"halving": 3, "workers": 1}, board.run_chunk, []
    monkeypatch.setattr(board, "run_chunk", lambda *a: (calls.append(1), 1 / (len(calls) < 2), real(*a))[2])
    with pytest.raises(ZeroDivisionError):
        xbnet.sweep(SPACE, data, out=tmp_path, **fixed)
    [path] = (tmp_path / "paused").iterdir()
    monkeypatch.setattr(board, "run_chunk", real)
    content = path.read_bytes()
    path.write_bytes(content[:-8] + b"12345678")
    with pytest.raises(xbnet.DataError, match=r"^.*\.safetensors: "):
        xbnet.sweep(SPACE, data, out=tmp_path, resume=True, **fixed)


@pytest.mark.parametrize("how", ["halving", "asha"])
def test_in_processes(data, how):
    small = {"epochs": 4, "folds": 2, "hidden": (5,), "memory": 100_000}
    result = xbnet.sweep(SPACE, data, halving=f"{how}:2", executor="processes", workers=2, **small)
    xbnet.assert_replica_equal(result, [0, 17, result.best_member()])
    if how == "halving":
        assert_same_table(xbnet.sweep(SPACE, data, halving=2, **small), result)


def test_pictures(data, tmp_path):
    from xbnet.plots import save_figure

    for how in (3, "hyperband"):
        picture = xbnet.sweep(SPACE, data, halving=how, **FIXED | {"folds": None}).plot_rungs()
        axis = picture.axes[0]
        assert [text.get_text() for text in axis.texts] == (["18", "6", "2"] if how == 3 else ["10", "3", "1"])
    save_figure(picture, tmp_path / "hyperband.png")
