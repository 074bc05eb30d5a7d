"""A sweep's results, used another day: from its folder alone."""

import json
from dataclasses import replace

import numpy as np
import pyarrow
import pytest

import xbnet
from xbnet.cli import main
from xbnet.sweeps.kept import read_sweep
from xbnet.sweeps.refit import Source

from .conftest import assert_same_table, make_data

SPACE = {"lr": [0.01, 0.1, 1.0], "hidden": [(5,), (4, 3)], "dropout": [0, 0.2]}
FIXED = {"epochs": 4, "patience": 2, "folds": 2, "scaling": "standard", "workers": 1}


@pytest.fixture(scope="module")
def kept(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept") / "run"
    return xbnet.sweep(SPACE, data, out=folder, **FIXED), folder


def test_a_loaded_result_is_the_same(kept, data):
    result, folder = kept
    again = xbnet.SweepResult.load(folder)
    assert_same_table(result, again)
    assert (again.monitor, again.beside, again.keys) == (result.monitor, result.beside, result.keys)
    assert repr(again.configurations()) == repr(result.configurations())
    x = data.val.x
    for member in (0, 7, result.best_member()):
        np.testing.assert_array_equal(result.network(member).predict_proba(x), again.network(member).predict_proba(x))
    np.testing.assert_array_equal(result.ensemble(4).predict_proba(x), again.ensemble(4).predict_proba(x))
    assert len(again.plot_curves().axes[0].lines) == len(result)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: a loaded result has no samples .*; run the sweep again$"):
        xbnet.assert_replica_equal(again, 0)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: a loaded result has no samples .*: refit\(data\)$"):
        again.refit()
    with pytest.raises(xbnet.ConfigError, match=r"^refit: expected data with inputs, outputs and task \("):
        again.refit((data.train.x[:, :1], data.train.y))
    first, second = result.refit(), again.refit(data)
    np.testing.assert_array_equal(first.model.network.theta, second.model.network.theta)
    assert first.figures == second.figures


def test_of_a_killed_sweep_there_is_what_has_ended(kept, tmp_path):
    result, folder = kept
    half = tmp_path / "half"
    (half / "chunks").mkdir(parents=True)
    for path in folder.rglob("*"):
        if path.is_file():
            (half / path.relative_to(folder)).write_bytes(path.read_bytes())
    lines = (folder / "results.jsonl").read_text().splitlines(keepends=True)
    (half / "results.jsonl").write_text("".join(lines[5:12]) + lines[0][:30])
    again = xbnet.SweepResult.load(half)
    assert (len(again), again.about.networks) == (7, len(result))
    member = again.best_member()
    np.testing.assert_array_equal(result.network(member).theta, again.network(member).theta)
    missing = json.loads(lines[0])["member"]
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: expected a member from 0 to 23, one of 7 that have results"):
        again.network(missing)
    (half / "results.jsonl").write_text("")
    with pytest.raises(
        xbnet.DataError, match=r"no network has ended yet; go on with: the same call of xbnet.sweep, with out="
    ):
        xbnet.SweepResult.load(half)


def test_a_loaded_halving_knows_its_rungs(data, tmp_path, capsys):
    result = xbnet.sweep({"lr": [0.01, 0.1, 1.0]}, data, halving=3, epochs=3, hidden=(3,), out=tmp_path / "run")
    assert main(["sweep", "--resume", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.startswith(
        f"xbnet: --resume {tmp_path}/run: the sweep there was started in Python and"
    )
    again = xbnet.SweepResult.load(tmp_path / "run")
    assert again.brackets == result.brackets
    assert again.column("rung").tolist() == result.column("rung").tolist()
    assert len(again.plot_rungs().axes[0].lines) == len(result.plot_rungs().axes[0].lines)
    lines = (tmp_path / "run" / "results.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "run" / "results.jsonl").write_text(lines[0])  # as if it had been killed
    assert len(xbnet.SweepResult.load(tmp_path / "run").brackets[0].configurations) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"brackets": [[[0.5], [1]]]},
        {"own_layers": 1},
        {"networks": "7"},
        {"preparations": []},
        {"preparations": [[[0.0], [0.0]]]},
        {"preparations": [[[0.0], [float("nan")]]]},
        {"schema": {"columns": 3}},
        {"dtype": "int8"},
        {"monitor": None},
        {"classes": 5},
    ],
)
def test_a_damaged_description_is_one_line(kept, tmp_path, change):
    _, folder = kept
    found = json.loads((folder / "sweep.json").read_text())
    found["about"] |= change
    (tmp_path / "sweep.json").write_text(json.dumps(found))
    with pytest.raises(xbnet.DataError, match=r"sweep\.json: is damaged; sweep into another folder$"):
        read_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps(found | {"schema": "xbnet.sweep/3"}))
    with pytest.raises(xbnet.DataError, match=r"sweep\.json: another version of xbnet began this sweep \(schema 'xbn"):
        read_sweep(tmp_path)
    with pytest.raises(xbnet.DataError, match=r": holds no sweep; expected a folder that xbnet sweep --out"):
        xbnet.SweepResult.load(tmp_path / "chunks")


def test_layers_of_your_own_function_come_back(data, tmp_path):
    result = xbnet.sweep(
        {"width": [3, 4], "lr": [0.1, 0.2]},
        data,
        layers=lambda width: [xbnet.Linear(width, "relu"), xbnet.Residual(), xbnet.Linear(3)],
        epochs=1,
        out=tmp_path / "run",
    )
    again = xbnet.SweepResult.load(tmp_path / "run")
    with pytest.raises(xbnet.ConfigError, match=r"^refit: the layers are those of a function that is not kept; "):
        again.refit(data)
    for member in range(4):
        one, two = (r.network(member).predict_proba(data.val.x) for r in (result, again))
        np.testing.assert_array_equal(one, two)


def test_a_schema_and_scaled_targets_come_back(tmp_path):
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(5, 3, 60), "b": np.array(["u", "v", "w"] * 20)}
    y = 1000 + 40 * table["a"]
    data = xbnet.Dataset("table", xbnet.Part(pyarrow.table(table), y)).with_scaled_targets()
    result = xbnet.sweep({"lr": [0.05, 0.1]}, data, folds=2, scaling="standard", epochs=30, out=tmp_path / "run")
    assert result.beside == "val_r2"
    assert result.best["val_r2"] > 0.5
    loaded = xbnet.SweepResult.load(tmp_path / "run").ensemble(2)
    loaded.save(tmp_path / "e.safetensors")
    for ensemble in (result.ensemble(2), loaded, xbnet.Ensemble.load(tmp_path / "e.safetensors"), result.refit().model):
        found = ensemble.predict_proba(table)
        assert found.shape == (60, 1)
        assert abs(found.mean() - y.mean()) < 20  # in the targets' own units


# -- the winner, anew ----------------------------------------------------------------------------------------------------


def test_a_refit_is_the_network_alone_on_all_rows(kept, data):
    result, _ = kept
    refit = result.refit()
    settings, member = result.best["settings"], result.members[result.best_member()]
    same = [m.index for m in result.members if m.configuration == member.configuration]
    epochs = round(float(np.median([result.history(m).best_epoch[0] for m in same])))
    prepared = replace(data, val=None).scaled()
    alone = xbnet.Network(xbnet.mlp(settings["hidden"], 3, dropout=[settings["dropout"]]), 3, rng=member.weight_seed)
    xbnet.fit(alone, "cross_entropy", f"sgd:lr={settings['lr']}", prepared, epochs=epochs, batch_size=60)
    assert (refit.rows, refit.epochs) == (120, epochs)
    x = prepared.preparation(data.val.x)
    np.testing.assert_array_equal(refit.model.network.predict_proba(x), alone.predict_proba(x))
    found = xbnet.evaluate(alone, "cross_entropy", x, data.val.y)
    assert refit.figures["val_accuracy"] == found["accuracy"][0]
    np.testing.assert_allclose(refit.model.predict_proba(data.val.x), alone.predict_proba(x))


def test_the_part_that_chose_is_no_last_test(data):
    result = xbnet.sweep({"lr": [0.1]}, replace(data, test=make_data(seed=5).val), epochs=1)
    assert isinstance(result.source, Source)
    assert set(result.refit().figures) == {"train_loss", "train_accuracy", "test_loss", "test_accuracy"}


# -- the rim -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"lr": [1e-5, 1e-4, 1e-3]}, ["the best lr, 0.001, is the largest of 3 that were tried: try larger ones"]),
        ({"lr": [0.1, 1e3, 1e4]}, ["the best lr, 0.1, is the least of 3 that were tried: try smaller ones"]),
        ({"l2": [0, 10, 100]}, []),  # there is nothing below 0
        ({"lr": [1e-4, 1e-3]}, []),
        ({"activation": ["tanh", "relu", "elu"]}, []),
    ],
)
def test_the_rim(data, space, said):
    assert xbnet.sweep(space, data, **({"epochs": 2} | ({} if "lr" in space else {"lr": 0.1}))).on_the_rim() == said
