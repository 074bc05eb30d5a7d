"""`xbnet verify`: what it prints, keeps, and how it fails."""

import json
import sys
from types import SimpleNamespace

import pytest

import xbnet
from xbnet.cli import main
from xbnet.cli import verify as verb
from xbnet.verify.catalogue import Case, catalogue


def run(capsys, *argv):
    """Exit code, stdout, stderr."""
    code = main(["verify", *map(str, argv)])
    out, err = capsys.readouterr()
    return code, out, err


class Times7(xbnet.Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW *= 7


def test_network_of_the_flags_of_train(capsys, tmp_path):
    flags = ["--hidden", "6", "--activation", "relu", "--batch-norm", "--dropout", 0.3, "--l2", 0.01, "--replicas", 2]
    code, out, err = run(capsys, *flags, "--entries", "--out", tmp_path / "v", "--json")
    assert (code, err) == (0, "")
    assert "Dropout(rate=0.3)" in out
    assert "PASSED" in out
    result = json.loads(out.splitlines()[-1])
    assert result["passed"]
    assert {"0.W", "1.gain", "theta", "x"} <= set(result["orders"])
    assert result["entries"]["passed"]
    kept = {path.name for path in (tmp_path / "v").iterdir()}
    assert kept == {"report.txt", "result.json", "orders.png", "entries.png"}
    assert (tmp_path / "v" / "report.txt").read_text() in out


@pytest.mark.parametrize("layer", [*verb.KINDS, "BatchNorm", "batch-norm", "layer_norm"])
def test_every_layer(capsys, layer):
    code, out, err = run(capsys, "--layer", layer, "--dtype", "float64")
    assert (code, err) == (0, "")
    assert out.startswith("jacobian_test: 5 -> [")
    assert verb.KINDS.keys() == {name.lower() for name in xbnet.nn.layers.LAYERS}


def test_failure_is_one_line_with_the_worst_entry_and_exit_1(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("xbnet.nn.mlp.Linear", Times7)
    code, out, err = run(capsys, "--out", tmp_path)
    assert code == 1
    assert "FAILED" in out
    assert err.count("\n") == 1
    assert err.startswith("xbnet: gradient_test: 5 -> [Times7(")
    assert ": 0.W[r=0, " in err
    assert json.loads((tmp_path / "result.json").read_text())["passed"] is False


def test_all_prints_a_line_per_case_and_fails_where_one_does(capsys, monkeypatch, tmp_path):
    cases = [
        Case("layers/good", lambda: xbnet.jacobian_test(xbnet.Linear(3, "tanh"), [[1.0, 2.0]])),
        Case("layers/bad", lambda: xbnet.jacobian_test(Times7(3, "tanh"), [[1.0, 2.0]])),
    ]
    monkeypatch.setattr(verb, "catalogue", lambda *settings: cases)
    code, out, err = run(capsys, "--all", "--json", "--out", tmp_path)
    assert code == 1
    lines = out.splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["ok", "FAILED"]
    assert lines[3].startswith("1 of 2 passed in ")
    assert list(json.loads(lines[-1])["failed"]) == ["layers/bad"]
    assert err.startswith("xbnet: layers/bad: 0.W[r=")
    assert err.endswith(" (1 of 2 cases failed)\n")
    names = {path.name for path in tmp_path.iterdir()}
    assert names >= {"layers-good.png", "layers-good.txt", "layers-bad.png", "report.txt", "result.json"}


def test_all_counts_what_is_not_judged_apart(capsys, monkeypatch, tmp_path):
    good = xbnet.jacobian_test(xbnet.Linear(3, "tanh"), [[1.0, 2.0]])
    unknown = SimpleNamespace(passed=None, orders=good.orders, curves=good.curves)
    monkeypatch.setattr(verb, "catalogue", lambda *settings: [Case("a", lambda: good), Case("b", lambda: unknown)])
    code, out, _ = run(capsys, "--all", "--json", "--out", tmp_path)
    lines = out.splitlines()
    assert code == 0
    assert lines[2].endswith("  not judged")
    assert lines[3].startswith("1 of 2 passed, 1 not judged, in ")
    assert (json.loads(lines[-1])["passed"], json.loads(lines[-1])["not_judged"]) == (None, ["b"])


def test_all_passes(capsys, monkeypatch):
    """Of the catalogue each tenth case, in the command's float32; all of them are tested elsewhere, in float64."""
    cases = []
    monkeypatch.setattr(verb, "catalogue", lambda *settings: cases.extend([*catalogue(*settings)][::10]) or cases)
    code, out, err = run(capsys, "--all", "--quiet", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["passed"]
    assert result["cases"] == len(cases) > 10


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--layer", "residul"], "--layer: unknown layer 'residul'; did you mean 'residual'? known are "),
        (["--all", "--layer", "linear"], "--all tests everything; leave out --layer and --entries"),
        (["--layer", "linear", "--entries"], "--entries compares a network's gradient; leave out --layer, which does "),
        (["--steps", "3"], "gradient_test: expected steps to be a whole number >= 8, got 3"),
        (["--e0", "-1"], "gradient_test: expected e0 > 0, got -1.0"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(capsys, flags, message):
    code, out, err = run(capsys, *flags)
    assert (code, out) == (2, "")
    assert err.startswith(f"xbnet: {message}")
    assert err.count("\n") == 1


OWN = """
import numpy as np
import xbnet


class Sign(xbnet.Optimizer):
    name = "sign"

    def __init__(self, lr=0.1, scale=1.0):
        super().__init__(lr, scale=scale)

    def coefficients(self, lr, t):
        return (lr * self.values["scale"],)

    def update(self, theta, grad, lr):
        self.xp.sign(grad, out=self.work)
        self.xp.multiply(self.work, lr, out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


class Twice(xbnet.Layer):
    def buffers(self):
        return {"y": (xbnet.BATCH, self.n_inputs)}

    def forward(self, x, training):
        return self.xp.multiply(x, 2.0, out=self.y)

    def backward(self, dy, dx):
        if dx is not None:
            self.xp.multiply(dy, 2.0, out=dx)


class Needy(Twice):
    def __init__(self, strength):
        self.strength = strength


def rule(theta, grad, memory, t, *, lr, scale):
    return theta - lr * scale * np.sign(grad)


def other(theta, grad, memory, t, *, lr, scale):
    return theta - lr * np.sign(grad)


number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """A module of the user's in the working directory."""
    (tmp_path / "mine.py").write_text(OWN)
    (tmp_path / "broken.py").write_text("import nowhere_to_be_found\n")
    monkeypatch.chdir(tmp_path)
    yield
    for name in ("mine", "broken"):
        sys.modules.pop(name, None)


STEPS = ["--training", "--execution", "eager,replay", "--hidden", "5", "--replicas", 2]


def test_training_of_the_flags_of_train(capsys, tmp_path):
    cost = ["--l2", 0.01, "--clip-norm", 0.5, "--schedule", "cosine", "--optimizer", "adam:beta2=0.9", "--lr", 0.01]
    code, out, err = run(capsys, *STEPS, *cost, "--batch-norm", "--out", tmp_path / "v", "--json")
    assert (code, err) == (0, "")
    assert out.startswith("training_test: 5 -> [Linear(")
    assert "\nPASSED\n" in out
    assert json.loads(out.splitlines()[-1])["passed"] is True
    assert {path.name for path in (tmp_path / "v").iterdir()} == {"report.txt", "result.json"}
    assert (tmp_path / "v" / "report.txt").read_text() in out


def test_a_wrong_step_is_one_line_and_exit_1(capsys, monkeypatch):
    monkeypatch.setattr(xbnet.SGD, "update", lambda self, theta, grad, lr: theta.__isub__(2 * lr * grad))
    code, out, err = run(capsys, *STEPS, "--dtype", "float64")
    assert code == 1
    assert "FAILED" in out
    assert err.count("\n") == 1
    assert ": eager: wrong in every step, first in step 1 of 9, in all replicas, in all blocks: " in err


def test_own_optimizer_rule_and_layer(capsys, own):
    code, out, err = run(capsys, *STEPS, "--optimizer", "mine:Sign:scale=0.5", "--lr", 0.01)
    assert (code, err) == (0, "")
    assert "rule: the optimizer's own text, taken at its word" in out
    code, out, err = run(capsys, *STEPS, "--optimizer", "mine:Sign:scale=0.5", "--rule", "mine:rule")
    assert (code, err) == (0, "")
    assert "rule: the user's" in out
    code, out, err = run(capsys, *STEPS, "--optimizer", "mine:Sign:scale=0.5", "--rule", "mine:other")
    assert code == 1
    assert err.count("\n") == 1
    assert run(capsys, "--layer", "mine:Twice")[0] == 0


def test_training_of_all(capsys, monkeypatch, tmp_path):
    from xbnet.cli import verify_steps

    cases = list(verify_steps.training_catalogue(levels=["eager"]))[:2]
    monkeypatch.setattr(verify_steps, "training_catalogue", lambda *settings: cases)
    code, out, err = run(capsys, "--training", "--all", "--json", "--out", tmp_path)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[-1] for line in lines[1:3]] == ["ok", "ok"]
    assert lines[3].startswith("2 of 2 passed in ")
    assert json.loads(lines[-1])["cases"] == 2
    assert {path.name for path in tmp_path.iterdir()} >= {"optimizers-sgd.txt", "report.txt", "result.json"}


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--optimizer", "adam"], "--optimizer says how steps are taken; add --training to test them"),
        (
            ["--training", "--layer", "linear"],
            "--training tests steps; leave out --layer and --entries, which test back",
        ),
        (["--training", "--all", "--lr", "1"], "--training --all tests everything; leave out --lr"),
        (
            ["--training", "--execution", "fast"],
            "training_test: expected levels among eager, replay, compiled, graph, ",
        ),
        (
            ["--training", "--execution", "graph"],
            "fit: execution 'graph' is not possible: backend 'numpy' captures no ",
        ),
        (["--training", "--optimizer", "adan"], "optimizer: unknown optimizer 'adan'; did you mean 'adam'?"),
        (
            ["--training", "--optimizer", "nowhere:Class"],
            "--optimizer: there is no module 'nowhere' here; nowhere:Class",
        ),
        (
            ["--training", "--optimizer", "broken:Class"],
            "--optimizer: broken could not be imported: No module named 'now",
        ),
        (["--training", "--optimizer", "mine:Class"], "--optimizer: module 'mine' has no 'Class'"),
        (
            ["--training", "--optimizer", "mine:number"],
            "--optimizer: expected mine:number to be a class derived from xbnet",
        ),
        (["--training", "--optimizer", "mine:Sign:speed=1"], "--optimizer: Sign could not be made: "),
        (["--training", "--rule", "mine:number"], "--rule: expected mine:number to be a function, got 3"),
        (["--training", "--rule", "rule"], "--rule: expected MODULE:FUNCTION, got 'rule'"),
        (
            ["--layer", "mine:Needy"],
            "--layer: Needy needs strength; in a file mine.py, write layer = Needy(...), and give",
        ),
        (["--layer", "mine:number"], "--layer: expected mine:number to be a class derived from xbnet.Layer, got 3"),
    ],
)
def test_bad_input_of_steps_is_one_line_and_exit_2(capsys, own, flags, message):
    code, out, err = run(capsys, *flags)
    assert (code, out) == (2, "")
    assert err.startswith(f"xbnet: {message}")
    assert err.count("\n") == 1
