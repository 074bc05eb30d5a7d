"""Layer-wise runs that are cut within a stage, between two, or behind them, and go on."""

import itertools
import signal

import numpy as np
import pytest

import xbnet
from xbnet import BatchNorm, ConfigError, Dropout, Linear, Network
from xbnet.history import PER_REPLICA

X = np.random.default_rng(0).normal(size=(120, 3))
Y = (X @ np.random.default_rng(1).normal(size=(3, 3))).argmax(axis=1)
DATA = xbnet.Dataset("toy", xbnet.Part(X[:90], Y[:90]), xbnet.Part(X[90:], Y[90:]))
STAGE_EPOCHS, EPOCHS = 4, 5


class Killed(Exception):
    pass


def make():
    layers = [Linear(6, "tanh"), BatchNorm(), Linear(5, "tanh"), Dropout(0.1), Linear(4, "tanh"), Linear(3)]
    return Network(layers, 3, replicas=2, rng=0)


def train(net, cut=None, how=None, **settings):
    """Train; `how` is called at the moment `cut`, a stage (0: the run itself) and an epoch."""

    def on_epoch(record):
        if (record.get("stage", 0), record["epoch"]) == cut:
            return how()

    settings = {"strategy": f"layerwise:epochs={STAGE_EPOCHS}", "batch_size": 20, "rng": 7, **settings}
    optimizer = xbnet.Adam(lr=[0.01, 0.03])
    return xbnet.fit(net, "cross_entropy", optimizer, DATA, epochs=EPOCHS, on_epoch=on_epoch, **settings)


def kill():
    raise Killed


def assert_equal(a, b):
    (one, first), (two, second) = a, b
    np.testing.assert_array_equal(one.theta, two.theta)
    np.testing.assert_array_equal(one.state, two.state)
    assert len(first.stages) == len(second.stages) == 3
    for mine, other in zip([first, *first.stages], [second, *second.stages], strict=True):
        assert (len(mine), mine.status) == (len(other), other.status)
        np.testing.assert_array_equal(mine.best_epoch, other.best_epoch)
        for name in PER_REPLICA:
            np.testing.assert_array_equal(mine[name], other[name])


@pytest.fixture(scope="module")
def whole():
    net = make()
    return net, train(net)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("cut", [(1, 2), (1, 4), (2, 1), (3, 3), (3, 4), (0, 1), (0, 4)])
def test_a_death_anywhere_changes_no_bit(whole, tmp_path, cut, every):
    with pytest.raises(Killed):
        train(make(), cut, kill, checkpoint=tmp_path, checkpoint_every=every)
    net = make()
    assert_equal(whole, (net, train(net, checkpoint=tmp_path, checkpoint_every=every, resume=True)))


def test_many_deaths(whole, tmp_path):
    moments = [(stage, epoch) for stage in (1, 2, 3) for epoch in range(1, STAGE_EPOCHS + 1)]
    moments += [(0, epoch) for epoch in range(1, EPOCHS + 1)]
    rng = np.random.default_rng(3)
    for start in itertools.accumulate(rng.integers(1, 4, len(moments))):
        if start >= len(moments):
            break
        with pytest.raises(Killed):
            train(make(), moments[start], kill, checkpoint=tmp_path, checkpoint_every=1, resume=True)
    net = make()
    assert_equal(whole, (net, train(net, checkpoint=tmp_path, checkpoint_every=1, resume=True)))


@pytest.mark.parametrize("cut", [(1, 2), (2, 3), (0, 2)])
def test_an_interrupt_is_kept_without_being_asked_for(whole, tmp_path, cut):
    stage, epoch = cut
    of = f" of stage {stage}" if stage else ""
    with pytest.raises(KeyboardInterrupt) as caught:
        train(make(), cut, lambda: signal.raise_signal(signal.SIGINT), checkpoint=tmp_path)
    assert str(caught.value) == f"interrupted after epoch {epoch}{of}; the run can be resumed from {tmp_path}"
    net, seen = make(), []
    history = xbnet.fit(
        net, "cross_entropy", xbnet.Adam(lr=[0.01, 0.03]), DATA, epochs=EPOCHS, batch_size=20, rng=7, resume=True,
        strategy=f"layerwise:epochs={STAGE_EPOCHS}", checkpoint=tmp_path,
        on_epoch=lambda record: seen.append((record.get("stage", 0), record["epoch"])),
    )  # fmt: skip
    assert_equal(whole, (net, history))
    assert seen[0] == (stage, epoch + 1)  # nothing is trained twice


def test_an_ended_run_keeps_its_stages(whole, tmp_path):
    train(make(), checkpoint=tmp_path, checkpoint_every=2)
    net = make()
    assert_equal(whole, (net, train(net, (0, 1), kill, checkpoint=tmp_path, resume=True)))
    xbnet.save(net, tmp_path / "model.safetensors", history=whole[1])
    loaded = xbnet.load_model(tmp_path / "model.safetensors")
    assert_equal(whole, (loaded.network, loaded.history))


@pytest.mark.parametrize("change", ["layerwise:epochs=9", "joint"])
def test_another_strategy_is_refused_and_touches_nothing(tmp_path, change):
    with pytest.raises(Killed):
        train(make(), (0, 2), kill, checkpoint=tmp_path, checkpoint_every=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")}
    with pytest.raises(
        ConfigError, match=r"/epoch-00000001.safetensors was made with strategy = Layerwise\(epochs=4\)"
    ):
        train(make(), checkpoint=tmp_path, checkpoint_every=1, resume=True, strategy=change)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.safetensors")} == before


def test_other_epochs_of_a_stage_are_refused(tmp_path):
    with pytest.raises(Killed):
        train(make(), (1, 3), kill, checkpoint=tmp_path, checkpoint_every=1)
    line = r"/stage-1/epoch-00000002.safetensors was made with strategy = NewStage\(earlier=0, epochs=4\), got"
    with pytest.raises(ConfigError, match=line):
        train(make(), checkpoint=tmp_path, checkpoint_every=1, resume=True, strategy="layerwise:epochs=9")
    line = f"^fit: {tmp_path} holds the checkpoints of a run; resume it, or choose another folder$"
    with pytest.raises(ConfigError, match=line):
        train(make(), checkpoint=tmp_path, checkpoint_every=1)


def test_a_callback_stops_all_of_it():
    seen = []

    def on_epoch(record):
        seen.append(record["stage"])
        return len(seen) == 2

    history = xbnet.fit(make(), "cross_entropy", "sgd", DATA, epochs=3, strategy="layerwise", on_epoch=on_epoch)
    assert seen == [1, 1]
    assert [len(stage) for stage in history.stages] == [2, 0, 0]
    assert (len(history), history.status) == (0, ["stopped", "stopped"])


def test_a_generator_as_rng_gives_one_order_to_all(tmp_path):
    """And a resumed run, which trains no stages, the same."""
    run = {"checkpoint": tmp_path, "checkpoint_every": 1}
    with pytest.raises(Killed):
        train(make(), (0, 2), kill, **run, rng=np.random.default_rng(5))
    net, other = make(), make()
    train(net, **run, resume=True, rng=np.random.default_rng(5))
    train(other, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(net.theta, other.theta)
