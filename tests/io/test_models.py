"""Networks through files."""

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support.errors import refuses
from xbnet import BatchNorm, ConfigError, DataError, Dropout, Layer, LayerNorm, Linear, Network, Residual
from xbnet.datasets import Scaler
from xbnet.history import PER_REPLICA
from xbnet.io.tensorfile import checksum, read_tensors
from xbnet.nn.activations import ACTIVATIONS

layers = st.one_of(
    st.builds(Linear, st.integers(1, 6), st.sampled_from([None, *ACTIVATIONS])),
    st.builds(Residual, st.sampled_from(list(ACTIVATIONS)), n_hidden=st.none() | st.integers(1, 5)),
    st.builds(Dropout, st.floats(0, 0.9)),
    st.builds(BatchNorm, momentum=st.floats(0.01, 1)),
    st.builds(LayerNorm),
)


@given(st.lists(layers, min_size=1, max_size=4), st.integers(1, 4), st.integers(1, 3), st.sampled_from(["f4", "f8"]))
@settings(deadline=None, max_examples=40)
def test_what_comes_back_is_the_same(tmp_path_factory, stack, n_inputs, replicas, dtype):
    network = Network(stack, n_inputs, replicas=replicas, dtype=dtype, rng=5)
    path = tmp_path_factory.mktemp("m") / "m.safetensors"
    x = network.backend.asarray(np.random.default_rng(0).normal(size=(1, 7, n_inputs)), network.dtype)
    network.forward(x, training=True)  # moves statistics and streams
    xbnet.save(network, path)
    twin = xbnet.load(path)
    assert repr(twin) == repr(network)
    np.testing.assert_array_equal(twin.theta, network.theta)
    np.testing.assert_array_equal(twin.state, network.state)
    np.testing.assert_array_equal(twin.forward(x, training=True), network.forward(x, training=True))


def test_training_goes_on_as_if_it_had_never_been_saved(tmp_path):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    network = Network([Linear(4, "relu"), Dropout(0.2), Linear(2)], 3, rng=1)
    xbnet.save(network, tmp_path / "m.safetensors")
    twin = xbnet.load(tmp_path / "m.safetensors")
    for net in (network, twin):
        xbnet.fit(net, "cross_entropy", "sgd", data, epochs=2, batch_size=10)
    np.testing.assert_array_equal(twin.theta, network.theta)


def test_model_brings_classes_preparation_and_history(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)
    network = Network([Linear(2)], 3, replicas=2, rng=1)
    history = xbnet.fit(network, "cross_entropy", "sgd", (x, y), epochs=3, batch_size=10)
    path = tmp_path / "m.safetensors"
    xbnet.save(network, path, classes=np.array(["no", "yes"]), preparation=Scaler.fit(x), history=history)
    model = xbnet.load_model(path)
    assert model.classes == ("no", "yes")
    assert model.version == xbnet.__version__
    np.testing.assert_array_equal(model.preparation.mean, Scaler.fit(x).mean)
    for name in PER_REPLICA:
        np.testing.assert_array_equal(model.history[name], history[name])
    assert model.history.seconds == 0  # times belong to the run, and to history.jsonl
    assert model.history.status == history.status
    np.testing.assert_array_equal(model.history["val_loss"], history["val_loss"])  # NaN stays NaN
    assert xbnet.load(path).link == "softmax"


def test_two_saves_and_two_runs_are_the_same_bytes(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 3)), rng.integers(0, 2, 50)

    def run(name):
        network = Network([Linear(2)], 3, replicas=2, rng=1)
        history = xbnet.fit(network, "cross_entropy", "sgd", (x, y), epochs=2, batch_size=10)
        xbnet.save(network, tmp_path / name, classes=["é", "b"], history=history)
        return (tmp_path / name).read_bytes()

    assert len({run(f"{i}.safetensors") for i in range(8)}) == 1
    assert xbnet.load_model(tmp_path / "0.safetensors").classes == ("é", "b")


class Double(Layer):
    def __init__(self, factor=2.0):
        self.factor = factor

    def forward(self, x, training):
        return x * self.factor


def test_own_layers_and_activations_are_handed_in(tmp_path):
    own = xbnet.Activation("mine", ACTIVATIONS["tanh"].forward, ACTIVATIONS["tanh"].backward)
    network = Network([Linear(3, own), Double(3.0)], 2, rng=0)
    path = tmp_path / "m.safetensors"
    xbnet.save(network, path)
    twin = xbnet.load(path, custom={"mine": own, "Double": Double})
    assert twin.layers[1].factor == 3.0
    np.testing.assert_array_equal(twin.predict_proba(np.ones((1, 2))), network.predict_proba(np.ones((1, 2))))
    with pytest.raises(DataError) as caught:
        xbnet.load(path, custom={"mine": own})
    assert (
        str(caught.value)
        == f"{path}: has a layer 'Double' that xbnet does not have; pass its class to load(custom=...)"
    )


class Hidden(Layer):
    def __init__(self, factor=2.0):
        self._by = factor


class Wider(Linear):
    def __init__(self, n_outputs, by=2):
        super().__init__(n_outputs * by)


@pytest.mark.parametrize(("layer", "lost"), [(Hidden(3.0), "factor"), (Wider(2, 3), "by")])
def test_an_argument_that_would_be_lost_is_refused(layer, lost, tmp_path):
    name = type(layer).__name__
    line = f"save: {name}: its argument {lost!r} would be lost; keep it as `self.{lost}`, or return it from `config`"
    with refuses(ConfigError, line):
        xbnet.save(Network([layer], 2, rng=0), tmp_path / "m.safetensors")
    assert not list(tmp_path.iterdir())


def test_initializer_function_is_no_obstacle(tmp_path):
    network = Network([Linear(3, initializer=lambda rng, shape: rng.normal(size=shape))], 2, rng=0)
    xbnet.save(network, tmp_path / "m.safetensors")
    np.testing.assert_array_equal(xbnet.load(tmp_path / "m.safetensors").theta, network.theta)


def rewritten(path, description=None, **header_changes):
    """The file with another description, and the checksum that belongs to it."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    header = json.loads(raw[8 : 8 + size])
    text = header["__metadata__"]["xbnet"]
    if description:
        text = json.dumps(json.loads(text) | description)
    header["__metadata__"] = {"xbnet": text, "crc32": checksum(text, read_tensors(path, "network").arrays)}
    header["__metadata__"] |= header_changes
    encoded = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(encoded)) + encoded + raw[8 + size :])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (
            {"format": 2, "version": "9.9"},
            "has format 2, written by xbnet 9.9; this version reads format 1; use the version that wrote it",
        ),
        ({"kind": "song"}, "holds a 'song', expected a 'network'"),
        ({"n_inputs": 10**12}, "expected that n_inputs is a whole number in [1, 2^31), got 1000000000000"),
        ({"n_inputs": 4}, "expected that theta has the layers' shape (1, 15), got (1, 12)"),
        ({"replicas": 2}, "expected that theta has the layers' shape (2, 12), got (1, 12)"),
        (
            {"layers": [["Linear", {"n_outputs": 10**9}]]},
            "expected that theta has the layers' shape (1, 4000000000), got (1, 12)",
        ),
        (
            {"layers": [["os.system", {}]]},
            "has a layer 'os.system' that xbnet does not have; pass its class to load(custom=...)",
        ),
        ({"dtype": "float64"}, "expected that theta is float64 (1, 12), got float32 (1, 12)"),
        ({"classes": ["a"]}, "expected that there is a class per output, C=3"),
        (
            {"blocks": [["0.b", [1, 3]], ["0.W", [3, 3]]]},
            "expected that blocks are in the order that this version has; load it with the version that wrote it",
        ),
    ],
)
def test_contradictions_are_one_line(change, line, tmp_path):
    path = tmp_path / "m.safetensors"
    xbnet.save(Network([Linear(3)], 3, rng=0), path)
    rewritten(path, change)
    with pytest.raises(DataError) as caught:
        xbnet.load(path)
    assert str(caught.value) == f"{path}: {line}"


def test_other_files_are_refused(tmp_path):
    from safetensors.numpy import save_file

    path = tmp_path / "m.safetensors"
    xbnet.save(Network([Linear(3)], 3, rng=0), path)
    raw = path.read_bytes()

    def complaint():
        with pytest.raises(DataError) as caught:
            xbnet.load(path)
        return str(caught.value)

    path.write_bytes(raw[:-1])
    assert complaint().startswith(f"{path}: is not a safetensors file, or is damaged (")
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    assert complaint() == f"{path}: expected that its checksum is right; it was damaged or changed"
    save_file({"theta": np.zeros((1, 12), np.float32)}, path)
    assert complaint() == f"{path}: is a safetensors file, but xbnet did not write it"
    save_file({"theta": np.zeros((1, 12), np.int8)}, path)
    assert complaint() == f"{path}: tensor 'theta' has type I8; expected F32, F64, I64"
    path.unlink()
    assert complaint() == f"{path}: there is no such file; expected one that xbnet saved"


def test_setting_that_json_has_not_is_refused(tmp_path):
    network = Network([Double(object)], 2, rng=0)
    with pytest.raises(xbnet.ConfigError) as caught:
        xbnet.save(network, tmp_path / "m.safetensors")
    assert str(caught.value) == (
        "save: Double.factor: expected numbers, texts or lists of these, got <class 'object'>; "
        "`config` may return a name"
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"classes": ["a"]}, "save: expected a class per output, C=2, got 1 classes"),
        ({"features": ["a"]}, "save: expected a name per input, I=3, got 1 features"),
        ({"preparation": Scaler(np.zeros(1), np.ones(1))}, "save: expected a mean per input, I=3, got 1 of prep"),
        ({"history": xbnet.History(4)}, "save: expected a history per replica, R=1, got 4 in it"),
    ],
)
def test_what_could_not_be_loaded_is_not_saved(settings, line, tmp_path):
    with pytest.raises(xbnet.ConfigError, match=line):
        xbnet.save(Network([Linear(2)], 3), tmp_path / "m.safetensors", **settings)
    assert not list(tmp_path.iterdir())


def test_other_things_than_networks_and_tables_of_names_are_refused(tmp_path):
    with pytest.raises(xbnet.ConfigError, match="save: expected a Network, got Linear"):
        xbnet.save(Linear(2), tmp_path / "m.safetensors")
    with pytest.raises(xbnet.ConfigError, match="load: expected custom to be {name: object}, got list"):
        xbnet.load(tmp_path / "m.safetensors", custom=[Linear])


def test_file_is_replaced_not_overwritten(tmp_path):
    path, before = tmp_path / "m.safetensors", tmp_path / "before.safetensors"
    network = Network([Linear(3)], 3, rng=0)
    xbnet.save(network, path)
    before.hardlink_to(path)  # what a reader has open
    theta = network.theta.copy()
    network.theta[...] = 0
    xbnet.save(network, path)
    np.testing.assert_array_equal(xbnet.load(before).theta, theta)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["before.safetensors", "m.safetensors"]


def test_import_stays_light():
    code = "import sys, xbnet; print(*(m for m in ('safetensors', 'sklearn', 'onnx', 'torch') if m in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "\n"
