"""The rate finder: each rate is a network of its own, and the proposal lies on the safe side of the best."""

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.cli import main
from xbnet.training.rates import smoothed

RNG = np.random.default_rng(0)
Y = np.arange(240) % 3
X = RNG.normal(size=(240, 4)) + Y[:, None]
DATA = xbnet.Dataset("blobs", xbnet.Part(X[:180], Y[:180]), xbnet.Part(X[180:], Y[180:]))


def network(**more):
    return xbnet.Network(xbnet.mlp((6,), 3, **more), 4, rng=3)


def test_each_rate_is_the_network_alone():
    net, rates = network(dropout=0.2), [0.01, 0.1, 1.0]
    before = net.theta.copy()
    found = xbnet.find_lr(net, "cross_entropy", "momentum", DATA, rates=rates, steps=15, batch_size=60, l2=0.01)
    np.testing.assert_array_equal(net.theta, before)
    assert (found.figure, found.steps, found.rates.tolist()) == ("val_loss", 15, rates)
    for rate, loss in zip(rates, found.losses, strict=True):
        alone = network(dropout=0.2)
        history = xbnet.fit(alone, "cross_entropy", f"momentum:lr={rate}", DATA, epochs=5, batch_size=60, l2=0.01)
        assert history["val_loss"][-1] == loss


def test_the_proposal_is_half_of_the_best():
    found = xbnet.find_lr(network(), "cross_entropy", "sgd", DATA, steps=60)
    best = found.rates[np.argmin(smoothed(found.rates, found.losses))]
    assert found.lr == best / 2
    assert 1e-3 < found.lr < 20
    assert len(found.rates) == 100
    assert f"lr={found.lr:.3g}, half of the best of 100 rates" in found.describe()


def test_a_best_rate_on_the_rim_is_said():
    for rates, hint in ([1e-6, 1e-5], "the largest: try larger ones"), ([0.5, 1e5], "the least: try smaller ones"):
        found = xbnet.find_lr(network(), "cross_entropy", "sgd", DATA, rates=rates, steps=20)
        assert found.describe().endswith(f"; it is {hint}")


def test_what_diverges_takes_no_other_with_it():
    rates = [0.01, 0.05, 1e4, 1e6]
    found = xbnet.find_lr(network(activation="relu"), "mse", "momentum", (X, X[:, :3]), rates=rates, steps=20)
    assert np.isnan(found.losses).tolist() == [False, False, True, True]
    assert found.figure == "train_loss"
    assert found.lr in (0.005, 0.025)
    assert "from 1e+04 on networks diverged" in found.describe()
    axis = found.plot().axes[0]
    assert "diverged" in [text.get_text() for text in axis.get_legend().get_texts()]


def test_many_rows_are_not_all_taken():
    y = np.arange(5000) % 3
    data = (RNG.normal(size=(5000, 4)), y)
    found = xbnet.find_lr(network(), "cross_entropy", "adam", data, rates=3, steps=20, batch_size=10)
    assert found.steps == 20
    assert found.rates[1] == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ({"rates": [0.1]}, "find_lr: expected at least two rates, got [0.1]"),
        ({"rates": 1}, "find_lr: expected rates to be a whole number >= 2, got 1"),
        ({"rates": [0.0, 1.0]}, "find_lr: expected rates in (0, inf), got 0.0"),
        ({"steps": 0}, "find_lr: expected steps to be a whole number >= 1, got 0"),
        ({"rates": [1e30, 1e31], "optimizer": "momentum", "loss": "mse"},
         "find_lr: all networks diverged at rates from 1e+30 on; try smaller ones"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(more, line):
    loss, optimizer = more.pop("loss", "cross_entropy"), more.pop("optimizer", "sgd")
    with refuses(xbnet.ConfigError, line):
        xbnet.find_lr(network(activation="relu"), loss, optimizer, DATA, **more)


def test_settings_that_it_has_itself_are_refused():
    with pytest.raises(xbnet.ConfigError, match=r"^find_lr: unknown "):
        xbnet.find_lr(network(), "cross_entropy", "sgd", DATA, patience=3)


def test_commands(tmp_path, capsys):
    out = tmp_path / "run"
    argv = ["train", "--data", "peaks", "--hidden", "4", "--epochs", "1", "--lr", "auto", "--out", str(out)]
    assert main(argv) == 0
    text = capsys.readouterr().out
    assert "half of the best of 100 rates from 0.0001 to 100 after " in text
    assert (out / "rates.png").stat().st_size > 5000
    assert 'lr = "auto"' not in (out / "config.toml").read_text()  # the number: a resumed run need not search again
    argv = ["sweep", "--data", "peaks", "--find-lr", "--space", "hidden=4", "--space", "lr=0.01,0.1,1"]
    assert main([*argv, "--out", str(tmp_path / "rates")]) == 0
    assert (tmp_path / "rates" / "rates.png").stat().st_size > 5000
    assert "of 3 rates from 0.01 to 1" in capsys.readouterr().out
    assert main([*argv, "--space", "l2=0,1"]) == 2
    assert capsys.readouterr().err == "xbnet: --find-lr is for one configuration; give one value of l2\n"
    assert main([*argv[:-2], "--space", "lr=loguniform:1e-3,1"]) == 2
    line = "xbnet: --find-lr: expected rates to try, like --space lr=0.01,0.1,1; leave lr out to try a hundred\n"
    assert capsys.readouterr().err == line
    for flag, value in ("--folds", "3"), ("--seeds", "2"), ("--at-once", "5"), ("--executor", "processes"):
        assert main([*argv, flag, value]) == 2
        assert capsys.readouterr().err == f"xbnet: --find-lr is for one configuration; leave out {flag}\n"
