import numpy as np
import pytest

import xbnet
from xbnet.plots import save_figure


@pytest.fixture(scope="module")
def result(data):
    return xbnet.sweep(
        {"lr": [0.003, 0.03, 0.3], "l2": [0, 0.1], "optimizer": ["sgd", "momentum"]},
        data,
        seeds=3,
        epochs=4,
        hidden=(6,),
        scaling="standard",
    )


def test_the_best_configuration_has_the_best_mean(result):
    rows = list(result.rows())
    assert len(rows) == len(result) == 36
    by_configuration = {}
    for row in rows:
        by_configuration.setdefault(row["configuration"], []).append(row["score"])
    means = {number: np.mean(scores) for number, scores in by_configuration.items()}
    best = result.best
    assert best["mean"] == min(means.values())
    assert best["spread"] == pytest.approx(np.std(by_configuration[best["configuration"]]))
    assert best["networks"] == 3
    assert set(best["settings"]) == {"lr", "l2", "optimizer"}
    assert [row["mean"] for row in result.configurations()] == sorted(means.values())
    assert f"best val_loss {best['mean']:.4f}" in repr(result)


def test_the_score_is_the_figure_that_evaluate_gives(result, data):
    member = result.best_member()
    part = result.program.pool.data.val
    found = xbnet.evaluate(result.best_network(), "cross_entropy", part.x, part.y)
    row = list(result.rows())[member]
    assert row["last_epoch"] == 4
    # without patience a network ends with its last epoch's weights
    assert found["loss"][0] == pytest.approx(result.history(member)["val_loss"][-1], rel=1e-5)


def test_accuracy_is_better_when_larger(data):
    result = xbnet.sweep({"lr": [1e-6, 0.3]}, data, epochs=5, monitor="val_accuracy", patience=4)
    assert result.best["settings"] == {"lr": 0.3}
    assert result.best["mean"] == max(result.column("val_accuracy"))
    network = result.best_network()
    part = data.val
    assert (network.predict(part.x) == part.y).mean() == pytest.approx(result.best["mean"])


def test_an_ensemble_is_the_mean_of_its_members(result, data):
    members = result.ranking()[:3]
    raw = data.val.x
    each = [result.network(m).predict_proba(result.preparation(m)(raw)) for m in members]
    ensemble = result.ensemble(3)
    np.testing.assert_allclose(ensemble.predict_proba(raw), np.mean(each, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(ensemble.predict(raw), np.mean(each, axis=0).argmax(axis=1))
    np.testing.assert_allclose(result.ensemble([members[1]]).predict_proba(raw), each[1], rtol=1e-6)
    with pytest.raises(xbnet.ConfigError, match=r"^ensemble: expected 1 to 36 members, got 0$"):
        result.ensemble(0)


def test_an_ensemble_of_the_best_holds_none_that_diverged(data):
    result = xbnet.sweep({"lr": [0.01, 0.03, 1e30]}, data, loss="mse", activation="relu", epochs=2)
    assert result.column("status").tolist().count("diverged") == 1
    assert len(result.ensemble(2).networks) == 2
    with pytest.raises(xbnet.ConfigError, match=r"^ensemble: expected 1 to 2 members, got 3$"):
        result.ensemble(3)


def test_a_regression(data):
    part = xbnet.Part(data.train.x, data.train.x.sum(axis=1))
    result = xbnet.sweep({"lr": [0.01, 0.1]}, xbnet.Dataset("sum", part), folds=2, epochs=3)
    assert result.monitor == "val_loss"
    assert result.ensemble(2).predict(part.x).shape == (120, 1)
    assert np.isnan(result.column("val_accuracy")).all()


def test_pandas(result, monkeypatch):
    pandas = pytest.importorskip("pandas")
    frame = result.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.shape[0] == 36
    assert frame["score"].idxmin() == result.ranking()[0]
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: to_pandas needs pandas; install it with: pip"):
        result.to_pandas()


def test_pictures(result, tmp_path):
    for name, figure in (
        ("curves", result.plot_curves()),
        ("accuracy", result.plot_curves("val_accuracy")),
        ("heat", result.plot_heat_map("lr", "l2")),
        ("keys", result.plot_keys()),
    ):
        save_figure(figure, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000
    axis = result.plot_curves().axes[0]
    assert len(axis.lines) == 36
    assert axis.lines[-1].get_color() == "#d62728"  # the best lies on top
    np.testing.assert_allclose(axis.lines[-1].get_ydata(), result.history(result.best_member())["val_loss"])
    image = result.plot_heat_map("lr", "l2").axes[0].images[0]
    wanted = [s for m, s in zip(result.members, result.column("score"), strict=True)
              if (m.settings["lr"], m.settings["l2"]) == (0.03, 0.1)]  # fmt: skip
    assert image.get_array()[1, 1] == pytest.approx(np.mean(wanted))


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda r: r.plot_curves("accuracy"), None),
        (lambda r: r.plot_heat_map("lr", "dropout"),
         "plot_heat_map: expected keys that vary (optimizer, lr, l2), got 'dropout'"),
        (lambda r: r.network(36), "sweep: expected a member from 0 to 35, got 36"),
        (lambda r: r.column("losss"), None),
    ],
)  # fmt: skip
def test_bad_questions_are_one_line(result, call, line):
    with pytest.raises(xbnet.ConfigError) as caught:
        call(result)
    assert "\n" not in str(caught.value)
    if line:
        assert str(caught.value) == line


def test_a_progress_bar_over_everything(data, capsys):
    xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=3, progress=True)
    text = capsys.readouterr().err
    assert "sweep: 2 networks in 1 bucket of equal shape, " in text
    assert "alive, best val_loss " in text
    assert "steps/s" in text
