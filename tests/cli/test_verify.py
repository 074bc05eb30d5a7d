"""`xbnet verify`: what it prints, keeps, and how it fails."""

import json

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


def test_all_passes(capsys, monkeypatch):
    """But for the depths, which are tested case by case elsewhere."""
    monkeypatch.setattr("xbnet.verify.catalogue.DEPTHS", range(1, 2))
    code, out, err = run(capsys, "--all", "--quiet", "--json")
    assert (code, err) == (0, "")
    result = json.loads(out)
    assert result["passed"]
    assert result["cases"] == len(list(catalogue()))


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
