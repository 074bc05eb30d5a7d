"""Ensembles in files, in predictions, and in other programs."""

import csv

import numpy as np
import pytest

from xbnet import Ensemble, Linear, Network, Residual, load_model, save
from xbnet.cli import main
from xbnet.datasets import Scaler
from xbnet.errors import ConfigError, DataError
from xbnet.io.export import to_npz, to_onnx, to_torch

RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, size=(40, 4))
CLASSES = ("a", "b", "c")


def committee(link="softmax", n_outputs=3):
    """Three networks of different shapes; one sees its inputs as they are."""
    layers = (
        [Linear(5, "tanh"), Linear(n_outputs)],
        [Linear(n_outputs)],
        [Linear(4, "sigmoid"), Residual(), Linear(n_outputs)],
    )
    networks = [Network(one, 4, rng=i) for i, one in enumerate(layers)]
    for network in networks:
        network.link = link
    classes = None if link in ("identity", "exp") else CLASSES
    return Ensemble(tuple(networks), (Scaler.fit(X), None, Scaler.fit(X[:9])), classes, tuple("pqrs"))


def by_hand(ensemble, x=X):
    each = [
        n.predict_proba(x if p is None else p(x)) for n, p in zip(ensemble.networks, ensemble.preparations, strict=True)
    ]
    return np.mean(np.array(each, float), axis=0)


def test_a_file_gives_back_the_same_answers(tmp_path):
    ensemble = committee()
    ensemble.save(tmp_path / "e.safetensors")
    again = Ensemble.load(tmp_path / "e.safetensors")
    np.testing.assert_array_equal(again.predict_proba(X), ensemble.predict_proba(X))
    np.testing.assert_allclose(again.predict_proba(X), by_hand(ensemble), rtol=1e-12)
    assert (again.classes, again.features, again.size) == (CLASSES, tuple("pqrs"), 3)
    alone = again.member(2)
    np.testing.assert_array_equal(
        alone.predict_proba(X), ensemble.networks[2].predict_proba(ensemble.preparations[2](X))
    )
    with pytest.raises(DataError, match=r"holds a 'ensemble', expected a 'network'; xbnet\.Ensemble\.load reads it$"):
        load_model(tmp_path / "e.safetensors")


@pytest.mark.parametrize("link", ["softmax", "sigmoid", "multilabel", "scores", "identity", "exp"])
def test_onnx_and_pytorch_give_the_mean_of_the_members(link, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    ensemble = committee(link)
    to_onnx(ensemble, tmp_path / "e.onnx")
    session = runtime.InferenceSession(tmp_path / "e.onnx", providers=["CPUExecutionProvider"])
    name = "values" if link in ("identity", "exp") else "probabilities"
    (found,) = session.run([name], {"x": X})
    np.testing.assert_allclose(found, by_hand(ensemble), rtol=2e-6, atol=1e-7)
    torch = pytest.importorskip("torch")
    text = to_torch(ensemble, tmp_path / "e.safetensors")
    assert text.endswith("model.eval()  # then model(x): the mean of its members\n")
    exec(text, scope := {})
    found = scope["model"](torch.from_numpy(X)).detach().numpy()
    np.testing.assert_allclose(found, by_hand(ensemble), rtol=2e-6, atol=1e-7)
    if name == "probabilities" and link != "multilabel":
        (label,) = session.run(["label"], {"x": X})
        assert label.tolist() == [CLASSES[c] for c in by_hand(ensemble).argmax(axis=1)]


def test_a_stack_elsewhere_is_its_mean(tmp_path):
    runtime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    network = Network([Linear(5, "tanh"), Linear(2)], 4, replicas=3, rng=0)
    save(network, tmp_path / "m.safetensors")
    to_onnx(load_model(tmp_path / "m.safetensors"), tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (found,) = session.run(["probabilities"], {"x": X.astype(np.float32)})
    expected = network.predict_proba(X).mean(axis=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    exec(to_torch(load_model(tmp_path / "m.safetensors"), tmp_path / "t.safetensors"), scope := {})
    np.testing.assert_allclose(scope["model"](torch.from_numpy(X).float()).detach().numpy(), expected, rtol=1e-5)


def test_predict_and_export_take_its_file(tmp_path, capsys):
    ensemble, path = committee(), str(tmp_path / "e.safetensors")
    ensemble.save(path)
    np.save(tmp_path / "x.npy", X)
    assert main(["predict", path, "--data", str(tmp_path / "x.npy"), "--out", str(tmp_path / "p.csv")]) == 0
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    found = [[float(row[f"p_{name}"]) for name in CLASSES] for row in rows]
    np.testing.assert_allclose(found, by_hand(ensemble), rtol=1e-5)
    argv = ["predict", path, "--data", str(tmp_path / "x.npy"), "--out", str(tmp_path / "p.npz")]
    assert main([*argv, "--replica", "1"]) == 0
    assert main([*argv, "--replica", "3"]) == 2
    assert capsys.readouterr().err == "xbnet: --replica 3: the model has 3, counted from 0\n"
    assert main(["export", path, "--out", str(tmp_path / "t.safetensors")]) == 0
    assert "class Mean(nn.Module):" in capsys.readouterr().out
    to_npz(ensemble, tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as file:
        assert file["member 1.0.W"].shape == (4, 3)
        assert file["member 0.preparation.mean"].shape == (4,)


def test_what_does_not_belong_together_is_refused():
    one, other = Network([Linear(3)], 4, rng=0), Network([Linear(2)], 4, rng=0)
    with pytest.raises(ConfigError, match="^Ensemble: expected single networks for the same inputs, outputs and task$"):
        Ensemble((one, other), (None, None))
    with pytest.raises(ConfigError, match="^Ensemble: expected a preparation or None per network, 1, got 2$"):
        Ensemble((one,), (None, None))
