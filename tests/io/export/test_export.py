"""Exported models say what ours say."""

import json
import subprocess
import sys

import numpy as np
import pytest

from xbnet import (
    Activation,
    BatchNorm,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    MemberOutputs,
    Members,
    Network,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    PReLU,
    Residual,
    Scale,
    SharedLinear,
    fit,
    load_model,
    save,
)
from xbnet.cli import main
from xbnet.datasets import Scaler
from xbnet.errors import ConfigError
from xbnet.io.export import to_npz, to_onnx, to_torch
from xbnet.nn.activations import ACTIVATIONS
from xbnet.nn.layers import LAYERS

STACKS = {
    **{f"linear_{name}": [Linear(6, name), Linear(3)] for name in ACTIVATIONS},
    **{f"residual_{name}": [Linear(6), Residual(name), Linear(3)] for name in ACTIVATIONS},
    "residual_begin": [Linear(6), Residual("tanh", begin="relu", n_hidden=9), Linear(3)],
    "residual_end": [Linear(6), Residual("silu", end="gelu"), Linear(3)],
    "dropout": [Linear(6, "relu"), Dropout(0.3), Linear(3)],
    "batch_norm": [BatchNorm(eps=1e-3), Linear(6, "relu"), BatchNorm(), Linear(3)],
    "scale": [Scale(), Linear(6), Parametric("selu"), Linear(6), PReLU(), Linear(3)],
    "members": [
        *(Members(2), SharedLinear(5, "tanh", members=2), SharedLinear(4, "relu", members=2, adapters="both")),
        *(SharedLinear(6, "tanh", members=2, adapters="none"), MemberOutputs(3, members=2)),
    ],
    "piecewise": [PiecewiseLinearEmbedding([[-1, 0, 1], [-2, 0.5], [-1, 0.5, 1], [0, 1]], 3), Linear(3)],
    "piecewise_codes": [Linear(2), PiecewiseLinearEmbedding([-1, -0.3, 0.5, 1], None), Linear(3)],
    "embedding": [Embedding([3, 2, 4, 3], 2), Linear(3)],
    "columns": [Embedding([3, 4], 2, columns=[3, 1]), PeriodicEmbedding(2, columns=[0]), Linear(3)],
    "embedding_all_columns": [Embedding([3, 2, 4, 3], 2, columns=[3, 0, 1, 2]), Linear(3)],
    "periodic": [PeriodicEmbedding(3, n_frequencies=4, sigma=0.3), Linear(3)],
    "periodic_plr": [PeriodicEmbedding(3, n_frequencies=4, phase=False, direct=False, activation="relu"), Linear(3)],
    "layer_norm": [LayerNorm(), Linear(6, "relu"), LayerNorm(eps=1e-2), Linear(3)],
}
CLASSES, FEATURES = ["a\nb", "001", "größe"], ["x", "y (cm)", "z,1", "é"]
RNG = np.random.default_rng(0)
X = RNG.normal(3, 2, size=(200, 4)).astype(np.float32)


def trained(layers, dtype="float32", link="softmax"):
    """A model whose weights and statistics are no initial ones, with standardized inputs."""
    network = Network(layers, 4, dtype=dtype, rng=1)
    fit(network, "cross_entropy", "adam:lr=0.01", (X, RNG.integers(0, 3, 200)), epochs=2, batch_size=50)
    network.link = link
    return network, Scaler.fit(X)


def model_of(tmp_path, layers, **settings):
    network, preparation = trained(layers, **settings)
    save(network, tmp_path / "model.safetensors", classes=CLASSES, preparation=preparation, features=FEATURES)
    model = load_model(tmp_path / "model.safetensors")
    return model, network.predict_proba(preparation(X))


def test_every_layer_is_among_those_that_are_exported():
    assert {type(layer).__name__ for stack in STACKS.values() for layer in stack} == set(LAYERS)


@pytest.mark.parametrize("name", STACKS)
def test_onnx(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model, expected = model_of(tmp_path, STACKS[name])
    to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    probabilities, label = session.run(["probabilities", "label"], {"x": X.astype(float)})
    np.testing.assert_allclose(probabilities, expected, rtol=0, atol=1e-6)
    assert label.tolist() == [CLASSES[c] for c in expected.argmax(axis=1)]
    about = session.get_modelmeta().custom_metadata_map
    assert {name: json.loads(text) for name, text in about.items()} == {"classes": CLASSES, "features": FEATURES}


@pytest.mark.parametrize("link", ["sigmoid", "multilabel", "scores", "identity", "exp"])
@pytest.mark.parametrize("layers", [[Linear(3)], STACKS["members"]], ids=["linear", "members"])
def test_onnx_links(link, layers, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model, expected = model_of(tmp_path, layers, link=link)
    to_onnx(model, tmp_path / "m.onnx")
    found = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    found = found.run(None, {"x": X.astype(float)})
    np.testing.assert_allclose(found[0], expected, rtol=1e-5, atol=1e-6)
    if link == "sigmoid":
        np.testing.assert_allclose(found[0].sum(axis=1), 1, rtol=1e-6)
        assert found[1].tolist() == [CLASSES[c] for c in expected.argmax(axis=1)]
    if link == "multilabel":
        np.testing.assert_array_equal(found[1], expected >= 0.5)
    elif link in ("identity", "exp"):
        assert len(found) == 1


@pytest.mark.parametrize("name", STACKS)
def test_onnx_in_float64(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model, _ = model_of(tmp_path, STACKS[name], dtype="float64")
    model.network.link = "sigmoid" if name == "dropout" else "softmax"
    to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    x = X * [1, 1, 1, 1e3]  # far out, where softplus's exponential has no number
    expected = model.network.predict_proba(model.preparation(x))
    np.testing.assert_allclose(
        session.run(None, {"x": x})[0], expected, rtol=0, atol=1e-9
    )  # an epsilon is a float32 in ONNX


@pytest.mark.parametrize("classes", [[1, 2, 3], ["-1", "0", "1"], ["1", "2", "03"], [0.5, 1.5, 2.0], None])
def test_the_label_in_onnx_is_the_label(classes, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    network, preparation = trained([Linear(3)])
    save(network, tmp_path / "m.safetensors", classes=classes, preparation=preparation)
    to_onnx(load_model(tmp_path / "m.safetensors"), tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    label = session.run(["label"], {"x": X.astype(float)})[0]
    whole = classes in ([1, 2, 3], ["-1", "0", "1"], None)
    assert label.dtype == (np.int64 if whole else object)
    names = [(int if whole else str)(name) for name in classes or range(3)]
    assert label.tolist() == [names[c] for c in network.predict(preparation(X))]


def test_large_numbers_keep_their_differences(tmp_path):
    """Unix times, a second apart: float32 has one value for 128 of them."""
    runtime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    seconds = np.arange(1_700_000_000, 1_700_000_064)
    preparation = Scaler.fit(seconds[:, None])
    network = Network([Linear(2)], 1, rng=0)
    network.layers[0].W[...], network.layers[0].b[...] = [[[-9, 9]]], 0
    save(network, tmp_path / "m.safetensors", classes=["early", "late"], preparation=preparation)
    model, x = load_model(tmp_path / "m.safetensors"), seconds[:, None].astype(float)
    expected = ["early"] * 32 + ["late"] * 32
    to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    assert session.run(["label"], {"x": x})[0].tolist() == expected
    scope = {}
    exec(to_torch(model, tmp_path / "t.safetensors"), scope)
    assert [model.classes[c] for c in scope["model"](torch.from_numpy(x)).argmax(1)] == expected
    np.save(tmp_path / "x.npy", seconds[:, None])
    assert (
        main(
            [
                "predict",
                str(tmp_path / "m.safetensors"),
                "--data",
                str(tmp_path / "x.npy"),
                "--out",
                str(tmp_path / "p.npz"),
            ]
        )
        == 0
    )
    assert np.load(tmp_path / "p.npz")["labels"].tolist() == expected


@pytest.mark.parametrize("name", STACKS)
def test_torch(name, tmp_path):
    torch = pytest.importorskip("torch")
    model, expected = model_of(tmp_path, STACKS[name])
    text = to_torch(model, tmp_path / "t.safetensors")
    scope = {}
    exec(text, scope)
    with torch.no_grad():
        found = torch.softmax(scope["model"](torch.from_numpy(X)), -1).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scaling", ["robust", "quantile"])
@pytest.mark.parametrize("chosen", [[True] * 4, [True, False, True, True]])
def test_preparations_that_bend(scaling, chosen, tmp_path):
    runtime, torch = pytest.importorskip("onnxruntime"), pytest.importorskip("torch")
    x = X.astype(float)
    x[:, 0], x[:, 3] = np.maximum(x[:, 0].round(), 2), 7  # many at the least value, and nothing but one
    network, scaler = Network([Linear(3)], 4, dtype="float64", rng=1), Scaler.fit(x, scaling).only(np.array(chosen))
    network.link = "identity"
    save(network, tmp_path / "model.safetensors", preparation=scaler)
    model = load_model(tmp_path / "model.safetensors")
    new = np.concatenate([x, x + 0.25, 100 * x, -x])
    expected = network.forward(scaler(new)[None])[0]
    np.testing.assert_array_equal(model.network.forward(model.preparation(new)[None])[0], expected)
    to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": new})[0], expected, rtol=1e-12, atol=1e-12)
    scope = {}
    exec(to_torch(model, tmp_path / "t.safetensors"), scope)
    np.testing.assert_allclose(scope["model"](torch.from_numpy(new)).detach().numpy(), expected, atol=1e-10)


@pytest.mark.parametrize("link", ["sigmoid", "multilabel", "scores", "identity", "exp"])
@pytest.mark.parametrize("layers", [[Linear(3)], STACKS["members"]], ids=["linear", "members"])
def test_torch_says_what_to_do_afterwards(link, layers, tmp_path):
    torch = pytest.importorskip("torch")
    model, expected = model_of(tmp_path, layers, link=link)
    text = to_torch(model, tmp_path / "t.safetensors")
    scope = {"x": torch.from_numpy(X)}
    exec(text + "found = " + text.rsplit("# then ", 1)[1], scope)
    np.testing.assert_allclose(scope["found"].detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_npz_holds_all_blocks(tmp_path):
    model, expected = model_of(tmp_path, STACKS["dropout"])
    to_npz(model, tmp_path / "m.npz")
    a = np.load(tmp_path / "m.npz")
    h = np.maximum((X - a["preparation.mean"]) / a["preparation.scale"] @ a["0.W"] + a["0.b"], 0)
    z = h @ a["2.W"] + a["2.b"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(p, expected, rtol=1e-5, atol=1e-6)
    assert a["classes"].tolist() == CLASSES


@pytest.mark.parametrize("name", ["cube", "relu"])
def test_what_has_no_operator_is_refused(name, tmp_path):
    own = Activation(name, ACTIVATIONS["tanh"].forward, ACTIVATIONS["tanh"].backward)
    network = Network([Linear(3, own)], 4, rng=0)
    save(network, tmp_path / "m.safetensors")
    model = load_model(tmp_path / "m.safetensors", custom={name: own})
    with pytest.raises(ConfigError) as caught:
        to_torch(model, tmp_path / "t.safetensors")
    assert str(caught.value) == f"export: the activation {name!r} is your own, and has no PyTorch module"
    pytest.importorskip("onnx")
    with pytest.raises(ConfigError) as caught:
        to_onnx(model, tmp_path / "m.onnx")
    assert str(caught.value) == f"export: the activation {name!r} is your own, and has no ONNX operator"
    assert [p.name for p in tmp_path.iterdir()] == ["m.safetensors"]


class Doubled(Linear):
    """Predicts twice as much as `Linear`, which the exports of `Linear` don't know."""

    def forward(self, x, training):
        y = super().forward(x, training)
        return self.xp.multiply(y, 2, out=y)


class Exported(Doubled):
    def forward(self, x, training):
        return super().forward(x, training)

    def to_onnx(self, graph, x):
        return graph.add("Mul", super().to_onnx(graph, x), graph.constant(2.0))

    def to_torch(self, modules):
        modules.add(f"nn.Linear({self.n_inputs}, {self.n_outputs})", weight=2 * self.W[0].T, bias=2 * self.b[0, 0])


def own_model(tmp_path, layer):
    network = Network([layer], 4, rng=0)
    network.link = "scores"
    save(network, tmp_path / "m.safetensors")
    return network, load_model(tmp_path / "m.safetensors", custom={type(layer).__name__: type(layer)})


@pytest.mark.parametrize(("export", "method"), [(to_onnx, "to_onnx"), (to_torch, "to_torch")])
def test_a_layer_that_computes_something_else_than_its_base_is_refused(export, method, tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(ConfigError) as caught:
        export(own_model(tmp_path, Doubled(3))[1], tmp_path / "out")
    assert str(caught.value) == f"export: the layer Doubled(n_outputs=3) is your own; give it `{method}`"


def test_a_layer_of_your_own_says_how_it_is_exported(tmp_path):
    torch = pytest.importorskip("torch")
    runtime = pytest.importorskip("onnxruntime")
    network, model = own_model(tmp_path, Exported(3))
    to_onnx(model, tmp_path / "m.onnx")
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    expected = network.predict_proba(X)
    found = session.run(None, {"x": X})[0]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    space = {}
    exec(to_torch(model, tmp_path / "t.safetensors"), space)
    np.testing.assert_allclose(space["model"](torch.from_numpy(X)).detach().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_command(tmp_path, capsys):
    pytest.importorskip("torch")
    network = Network([Linear(5, "tanh"), Linear(2)], 3, replicas=2, rng=0)
    path = tmp_path / "m.safetensors"
    save(network, path)
    assert main(["export", str(path), "--out", str(tmp_path / "t.txt")]) == 2
    line = f"xbnet: --out {tmp_path}/t.txt: expected a name that ends in .onnx, .safetensors, .npz, or --format\n"
    assert capsys.readouterr().err == line
    assert main(["export", str(path), "--out", str(tmp_path / "t.safetensors"), "--replica", "1"]) == 0
    text = capsys.readouterr().out
    x = np.ones((1, 3), np.float32)
    script = text + "print(torch.softmax(model(torch.ones(1, 3)), -1).tolist()[0][0])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    np.testing.assert_allclose(float(found), network.predict_proba(x)[1, 0, 0], rtol=1e-6)
