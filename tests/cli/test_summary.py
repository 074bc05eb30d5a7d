"""What `xbnet train` tells of a run: figures of a regression, when it stopped, and that it did not learn."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from tests.support import cases
from xbnet import Adam, BinaryCrossEntropy, History, MeanSquaredError, SoftmaxCrossEntropy, evaluate, fit
from xbnet.cli import main
from xbnet.cli.summary import not_learned
from xbnet.training.chance import chance_loss

KEEP = "next: add --out DIR to keep the model, its curves and settings\n"


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    return code, out, err


def test_stopping_in_words(capsys):
    argv = ["train", "--data", "peaks", "--patience", 1, "--optimizer", "adam", "--lr", 0.1, "--quiet"]
    result = json.loads(run(capsys, *argv, "--epochs", 40, "--json")[1])
    assert result["status"] == "stopped"
    out = run(capsys, *argv[:-1], "--epochs", 40)[1]
    assert out.endswith(f"\nstopped after {result['epochs']} epochs; best was {result['epochs'] - 1}, kept\n{KEEP}")
    out = run(capsys, *argv[:-1], "--lr", 0.01, "--epochs", 2)[1]
    assert out.endswith("\nall 2 epochs ran; best was 2, kept (it may get better with more --epochs)\n" + KEEP)
    out = run(capsys, *argv[:-1], "--replicas", 3, "--epochs", 40)[1].splitlines()[-2]
    assert out.startswith("3 of 3 networks stopped, after ")
    assert out.endswith(" epochs; each keeps its best")
    out = run(capsys, "train", "--epochs", 1)[1]
    assert "stopped" not in out
    assert "gmm: 1 epoch, 391 steps of 64 rows in " in out


def test_the_next_command(tmp_path, capsys):
    folder = tmp_path / "a run"
    lines = run(capsys, "train", "--epochs", 1, "--batch-size", "full", "--out", folder)[1].splitlines()
    assert lines[-1] == f"next: xbnet predict '{folder}' --data FILE, or xbnet report '{folder}'"
    target = tmp_path / "net.npz"
    assert run(capsys, "export", folder, "--out", target) == (0, f"written: {target}\n", "")


def test_a_network_that_did_not_learn(capsys):
    code, out, err = run(capsys, "train", "--lr", 1000, "--epochs", 2, "--quiet", "--json")
    result = json.loads(out)
    assert (code, result["learned"]) == (0, False)
    assert result["chance_loss"] == pytest.approx(np.log(5), abs=0.01)
    assert err == (
        f"xbnet: gmm: the network did not learn: a training loss of {result['train_loss']:,.4g}, while guessing by the "
        "classes' shares gives 1.609; try a smaller --lr (it was 1000)\n"
    )
    code, out, err = run(capsys, "train", "--lr", 1e-9, "--epochs", 1, "--quiet", "--replicas", 2, "--json")
    assert json.loads(out)["learned"] == [False, False]
    assert err.startswith("xbnet: gmm: 2 of 2 networks did not learn: ")
    code, out, err = run(capsys, "train", "--epochs", 1, "--quiet", "--json")
    assert (json.loads(out)["learned"], err) == (True, "")


@pytest.mark.parametrize(
    ("loss", "task"),
    [
        (SoftmaxCrossEntropy(), "classification"),
        (SoftmaxCrossEntropy(class_weight=[1, 5, 0.5]), "classification"),
        (SoftmaxCrossEntropy(label_smoothing=0.2), "classification"),
        (BinaryCrossEntropy(), "classification"),
        (MeanSquaredError(), "classification"),
        (BinaryCrossEntropy(), "multilabel"),
        (MeanSquaredError(), "regression"),
    ],
)
def test_chance_is_the_best_that_a_network_without_inputs_can_learn(loss, task):
    net = cases.network(replicas=2, dtype="float64")
    y = cases.samples(task, 20)[1]
    found = chance_loss(net, loss, task, y)
    blind = np.zeros((20, net.n_inputs))
    fit(net, loss, Adam(0.05), (blind, y), epochs=400, batch_size=20)
    np.testing.assert_allclose(found, evaluate(net, loss, blind, y)["loss"], rtol=1e-3)


@pytest.mark.parametrize(
    ("losses", "advice"),
    [
        ([3.0, 2.0], "more --epochs (the loss still fell after 2)"),
        ([2.0, 2.5, 2.0], "a smaller --lr (it was 0.1)"),
        ([90.0, 20.0], "a smaller --lr (it was 0.1)"),
        ([1.0, 1.0], "another --lr (it was 0.1), more --epochs, --scaling standard"),
    ],
)
def test_what_to_try_depends_on_how_the_loss_went(losses, advice):
    history = History(1)
    history.records = [{"train_loss": np.array([loss])} for loss in losses]
    data = SimpleNamespace(task="classification", scaler=None)
    result = {"dataset": "d", "learned": False, "train_loss": losses[-1], "chance_loss": 1.0}
    found = not_learned(cases.network(), data, history, result, 0.1)
    told = f"a training loss of {losses[-1]:g}, while guessing by the classes' shares gives 1"
    assert found == f"d: the network did not learn: {told}; try {advice}"
