"""The kernel that trains an epoch at a time: on the emulated device it ends where the plain text ends."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xbnet
from tests.support.chance import examples
from tests.support.devices import emulation
from tests.support.devices.emulation import ORDERS
from tests.support.errors import refuses
from xbnet import BackendError, ConfigError, Linear, Network, SoftmaxCrossEntropy, fit
from xbnet.backends.cuda import launch
from xbnet.nn.activations import ACTIVATIONS
from xbnet.replicas import replica_seeds
from xbnet.training.execution import persistent
from xbnet.training.recipe import Recipe
from xbnet.training.samples import Samples, check_data
from xbnet.training.trainer import Trainer

R, INPUTS, C, N = 3, 5, 4, 150
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(N, INPUTS)), RNG.integers(0, C, N)
WIDTHS = ((10, "tanh"), (7, "relu"), (C, None))
FIGURES = ("train_loss", "train_cost", "train_accuracy", "val_loss", "val_accuracy", "grad_norm", "lr")


def network(widths=WIDTHS, order="forward", dtype="float64", replicas=R, rng=1, n_inputs=INPUTS):
    layers = [Linear(width, activation) for width, activation in widths]
    return Network(layers, n_inputs, replicas=replicas, rng=rng, dtype=dtype, backend=emulation.backend(order))


def train(execution, optimizer=None, *, net=None, data=(X, Y), loss=None, **more):
    """Batches of 32 of 150 samples: the last one is short."""
    net = net or network()
    common = {"epochs": 3, "batch_size": 32, "rng": 2, "progress": False}
    history = fit(net, loss or "cross_entropy", optimizer or xbnet.SGD(0.2), data, execution=execution, **common | more)
    assert history.execution == execution
    return net, history


def make_trainer(net, optimizer, rng=2, sample_weight=None, train_rows=None, val_rows=None, **more):
    rows = {"sample_weight": sample_weight, "train_rows": train_rows, "val_rows": val_rows}
    recipe = Recipe(**{"epochs": 3, "batch_size": 32, "execution": "persistent"} | more)
    return Trainer(net, SoftmaxCrossEntropy(), optimizer, Samples.of(check_data((X, Y)), **rows), recipe, rng=rng)


def same(make, tolerance=1e-12, widths=WIDTHS, dtype="float64"):
    """Train twice, call by call and by the kernel; weights, relative to how far they moved, and all figures agree."""
    (plain, told), (mine, tells) = (make(level, net=network(widths, dtype=dtype)) for level in ("eager", "persistent"))
    start = network(widths, dtype=dtype).theta
    moved = np.linalg.norm(plain.theta - start, axis=1)
    assert (moved > 1e-3).tolist() == [status != "diverged" for status in told.status], (
        "a run that moves nothing shows nothing"
    )
    assert (np.linalg.norm(mine.theta - plain.theta, axis=1) <= tolerance * moved).all()
    assert told.status == tells.status
    sane = [status != "diverged" for status in told.status]  # what an overflow gives is anyone's guess
    for name in FIGURES:
        figures = tells[name][:, sane], told[name][:, sane]
        np.testing.assert_allclose(*figures, rtol=100 * tolerance, atol=100 * tolerance, err_msg=name)
    return mine, tells


OPTIMIZERS = {
    "sgd": lambda: xbnet.SGD([0.1, 0.2, 0.3]),
    "momentum": lambda: xbnet.Momentum(0.1, momentum=[0.5, 0.8, 0.9]),
    "nesterov": lambda: xbnet.Nesterov([0.1, 0.05, 0.2], momentum=0.9),
    "rmsprop": lambda: xbnet.RMSProp(0.01, decay=[0.9, 0.8, 0.99], eps=1e-3),
    "adam": lambda: xbnet.Adam([0.01, 0.02, 0.03], beta1=0.8, beta2=0.95, eps=1e-3),
    "adamw": lambda: xbnet.AdamW(0.03, beta1=0.8, weight_decay=[0.3, 0.1, 0.5]),
}


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name, dtype):
    """Their states too: the plain text goes on from where the kernel has left, and the kernel from there."""

    def make(level, net):
        return train(level, OPTIMIZERS[name](), net=net, schedule="cosine")

    same(make, 1e-12 if dtype == "float64" else 2e-5, dtype=dtype)


def test_all_optimizers_are_served():
    assert set(OPTIMIZERS) == set(xbnet.optim.optimizers.OPTIMIZERS) == set(persistent.RULES)


@pytest.mark.parametrize("name", persistent.SERVED)
def test_every_activation(name):
    widths = ((6, name), (9, name), (C, name))  # behind the last layer too
    same(lambda level, net: train(level, net=net), 1e-11, widths=widths)


def test_activations_that_need_more_than_their_output_are_left_out():
    assert set(ACTIVATIONS) - set(persistent.SERVED) == {"gelu", "silu", "mish"}


COSTS = {
    "l2": {"l2": [0.01, 0.02, 0.0]},
    "l1": {"l1": [0.01, 0.0, 0.02]},
    "both": {"l2": 0.01, "l1": 0.01},
    "clip": {"clip_norm": [0.1, 0.3, 1e9]},
    "clip-l2": {"clip_norm": 0.2, "l2": 0.05},
    "smoothing": {"loss": SoftmaxCrossEntropy(label_smoothing=[0.0, 0.1, 0.3])},
    "class_weight": {"loss": SoftmaxCrossEntropy(class_weight=[1, 0.5, 2, 0])},
    "sample_weight": {"sample_weight": RNG.random(N)},
    "no-weight": {"sample_weight": np.r_[np.ones(2), np.zeros(N - 2)], "batch_size": 8},  # whole batches of weight 0
    "all-weights": {
        "sample_weight": RNG.random(N),
        "loss": SoftmaxCrossEntropy(class_weight=[1, 0.5, 2, 1], label_smoothing=0.1),
    },
}


@pytest.mark.parametrize("name", COSTS)
def test_every_part_of_the_cost(name):
    with np.errstate(invalid="ignore"):
        same(lambda level, net: train(level, net=net, **COSTS[name]))


@pytest.mark.parametrize("batch_size", [1, 2, 31, 50, 149, 150, None])
def test_every_batch_size(batch_size):
    same(lambda level, net: train(level, net=net, batch_size=batch_size, epochs=2), 1e-11)


@settings(deadline=None, max_examples=examples(12), derandomize=True)
@given(data=st.data())
def test_any_shape(data):
    """By the kernel that is told the shape when it runs."""
    integers = lambda low, high: data.draw(st.integers(low, high))  # noqa: E731
    n_inputs, replicas = integers(1, 9), integers(1, 3)
    widths = [(integers(1, 13), data.draw(st.sampled_from(persistent.SERVED))) for _ in range(integers(0, 6))]
    widths.append((integers(2, 9), None))
    n = integers(widths[-1][0], 40)
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=(n, n_inputs)), np.r_[: widths[-1][0], rng.integers(0, widths[-1][0], n - widths[-1][0])]
    settings = {"data": (x, y), "batch_size": integers(1, n), "epochs": 2}
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(persistent, "UNROLLED", 0)
        for level in ("eager", "persistent"):
            net = network(widths, replicas=replicas, n_inputs=n_inputs)
            found.append(train(level, xbnet.Adam(0.01), net=net, **settings)[0].theta)
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6, atol=1e-8)


def test_deep_networks_share_one_kernel(monkeypatch):
    """Told the shape when it is compiled or when it runs, it ends in the same bits."""
    fixed, _ = train("persistent")
    monkeypatch.setattr(persistent, "UNROLLED", 0)
    read, _ = train("persistent")
    np.testing.assert_array_equal(read.theta, fixed.theta)
    deep = [(4, "tanh")] * 9 + [(C, None)]
    same(lambda level, net: train(level, net=net), widths=deep)


# -- who sees what, and who leaves -------------------------------------------------------------------------------------


def test_orders_may_be_shared():
    seed, other = replica_seeds(5, 2)
    same(lambda level, net: train(level, net=net, rng=[seed, other, seed]))
    same(lambda level, net: train(level, net=net, rng=[seed, seed, seed]))


def test_a_member_of_a_stack_ends_in_the_bits_of_a_run_alone():
    stack, _ = train("persistent", xbnet.Adam([0.01, 0.02, 0.03]))
    for r, seed in enumerate(replica_seeds(1, R)):
        alone = network(replicas=1, rng=[seed])
        train("persistent", xbnet.Adam(0.01 * (r + 1)), net=alone, rng=[replica_seeds(2, R)[r]])
        np.testing.assert_array_equal(alone.theta[0], stack.theta[r])


def test_replicas_leave_early():
    """One diverges, one loses its patience, one stays: each time the kernel goes on with those that are left."""
    data = xbnet.Dataset("small", xbnet.Part(X, Y), val=xbnet.Part(X[:40], Y[:40]))
    settings = {"epochs": 12, "patience": 2, "monitor": "val_accuracy", "data": data}
    _, history = same(lambda level, net: train(level, xbnet.SGD([1e200, 2.0, 0.01]), net=net, **settings), 1e-9)
    assert history.status[0] == "diverged"
    assert "stopped" in history.status
    assert len(history) > history.best_epoch[1] > 0


def test_replicas_with_samples_of_their_own():
    """Folds: two replicas share one, but not its order; two share all."""
    rows = [np.arange(0, 99), np.arange(50, 149), np.arange(0, 99)]
    rows[2] = rows[0]
    weights, seeds = RNG.random(N), replica_seeds(7, 2)

    def run(level):
        net = network()
        trainer = make_trainer(
            net, xbnet.Adam(0.02), batch_size=25, rng=[seeds[0], seeds[0], seeds[1]], execution=level,
            sample_weight=weights, train_rows=rows, val_rows=rows[::-1],
        )  # fmt: skip
        while not trainer.done:
            trainer.run_epoch()
        assert trainer.execution.name == level
        return net.theta, trainer.finish()["val_loss"]

    for plain, mine in zip(run("eager"), run("persistent"), strict=True):
        np.testing.assert_allclose(mine, plain, rtol=1e-10)


def test_a_run_goes_on_from_a_checkpoint_in_the_same_bits(tmp_path):
    class Killed(Exception):
        pass

    def die(record):
        if record["epoch"] == 3:
            raise Killed

    whole, _ = train("persistent", xbnet.Adam(0.01), epochs=5)
    kept = {"checkpoint": tmp_path, "checkpoint_every": 1, "epochs": 5}
    with pytest.raises(Killed):
        train("persistent", xbnet.Adam(0.01), on_epoch=die, **kept)
    resumed, history = train("persistent", xbnet.Adam(0.01), resume=True, **kept)
    assert len(history) == 5
    np.testing.assert_array_equal(resumed.theta, whole.theta)


# -- races -------------------------------------------------------------------------------------------------------------


HARD = {"clip_norm": 0.5, "l2": 0.01, "sample_weight": RNG.random(N)}


@pytest.mark.parametrize("unrolled", [0, 9])
def test_the_order_of_threads_changes_no_bit(unrolled, monkeypatch):
    monkeypatch.setattr(persistent, "UNROLLED", unrolled)
    found = [train("persistent", xbnet.Adam(0.02), net=network(order=order), **HARD)[0].theta for order in ORDERS]
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


# What would be a race on a device: something is done a phase too early or too late.
RACES = {
    "weights are copied while others still write zeros": (
        """    });
    phase([&](int thread) {
        copy(thread, shape, weights, theta + r * parameters, true);
""",
        "        copy(thread, shape, weights, theta + r * parameters, true);\n",
    ),
    "a layer runs while others are in the one before": (
        """        UNROLL for (int l = 0; l < L; ++l) {
            phase([&](int thread) { forward(thread, shape, l, a, v, a + shape.outputs(l)); });
            a += shape.outputs(l);
            v += shape.block(l);
        }
""",
        """        phase([&](int thread) {
            a = inputs, v = weights;
            for (int l = 0; l < L; ++l) {
                forward(thread, shape, l, a, v, a + shape.outputs(l));
                a += shape.outputs(l);
                v += shape.block(l);
            }
        });
""",
    ),
    "the next batch comes while others need the last one": (
        "            if (s + 1 < steps) gather(thread, s + 1);\n        });",
        "        });",
        "                const int q = threads() - 1 - thread;",
        "                if (l == 0 && s + 1 < steps) gather(thread, s + 1);\n                const int q = threads() - 1 - thread;",
    ),
    "sums are made of values that are not there yet": (
        "            squares[thread] = 0;\n",
        """            squares[thread] = 0;
            T early = 0;
            for (int b = 0; b < shape.batch(); ++b) early += value[b];
            if (thread == threads() / 2) slot0[r * parameters] = early;
""",
        "        if (Rule::states > 0) copy(thread, shape, state0, slot0 + r * parameters, false);\n",
        "",
    ),
    "the columns are read while they are written": (
        "            if (thread < Rule::columns) column[thread]",
        "            if (s == 0 && thread < Rule::columns) column[thread]",
        "            T scale = 1;\n",
        "            T scale = 1;\n            if (s > 0 && thread < Rule::columns) column[thread] = table[thread * table_stride + s * R + r];\n",
    ),
    "the norm is read while others still add to it": (
        "            T scale = 1;\n",
        "            T scale = 1;\n            squares[thread] *= 2;\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RACES)
def test_a_race_shows(name, monkeypatch, tmp_path):
    text = (Path(launch.__file__).parent / "train.cuh").read_text()
    for old, new in zip(RACES[name][::2], RACES[name][1::2], strict=True):
        assert text.count(old) == 1
        text = text.replace(old, new)
    (tmp_path / "train.cuh").write_text(text)
    found = []
    for order in ORDERS:
        net = network(order=order)
        run = net.backend.launcher.launch
        with monkeypatch.context() as patch:
            mutant = lambda source, *more, run=run: run(str(tmp_path / source), *more)  # noqa: E731
            patch.setattr(net.backend.launcher, "launch", mutant)
            optimizer = xbnet.Adam(0.02)
            with np.errstate(all="ignore"):
                trainer = make_trainer(net, optimizer, **HARD)
                trainer._plan()
                trainer.execution.run_steps(trainer)
        found.append(np.concatenate([trainer.live.theta, trainer.optimizer.state["sum"]]))
    assert not all(np.array_equal(other, found[0], equal_nan=True) for other in found[1:])


def test_it_asks_for_the_memory_that_it_needs_and_no_more(monkeypatch):
    """In float32, where labels take as much as floats."""
    net = network(dtype="float32")
    train("persistent", xbnet.Adam(0.02), net=net, epochs=1)
    needed = persistent.shared_bytes
    monkeypatch.setattr(persistent, "shared_bytes", lambda *arguments: needed(*arguments) - 4)
    with pytest.raises(BackendError, match=r"^train<.*>: wrote beyond its \d+ bytes of shared memory$"):
        train("persistent", xbnet.Adam(0.02), net=network(dtype="float32"), epochs=1)


# -- what it can't do --------------------------------------------------------------------------------------------------


WHY_NOT = {
    "layer": ([xbnet.Residual(), Linear(C)], {}, "the kernel is for Linear layers, not for Residual"),
    "activation": ([Linear(3, "gelu"), Linear(C)], {}, "the kernel has no activation 'gelu'"),
    "own activation": (
        [Linear(3, dataclasses.replace(ACTIVATIONS["relu"])), Linear(C)], {}, "the kernel has no activation 'relu'",
    ),
    "loss": (None, {"loss": "binary_cross_entropy"}, "the kernel is for the loss 'cross_entropy', not for 'binary_cross_entropy'"),
    "optimizer": (None, {"optimizer": type("Mine", (xbnet.SGD,), {})()}, "the kernel has no optimizer Mine"),
    "strategy": (None, {"strategy": "weighted:ratio=0.5"}, "strategy 'weighted' changes the gradient"),
    "streamed": (None, {"device_memory": 3000}, "the samples don't all lie on the device"),
    "memory": (
        [Linear(500, "tanh"), Linear(C)], {},
        "weights, optimizer and a batch take 287,584 bytes of shared memory, and a block has 232,448",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHY_NOT)
def test_what_it_cant_do_is_told_and_left_to_the_plain_text(name):
    layers, more, reason = WHY_NOT[name]
    settings = {"loss": "cross_entropy", "optimizer": "sgd", "epochs": 1, "batch_size": 32, "progress": False, **more}
    make = lambda: Network(layers or [Linear(C)], INPUTS, rng=0, backend=emulation.backend())  # noqa: E731
    line = f"fit: execution 'persistent' is not possible: {reason}; use 'auto'"
    with refuses(ConfigError, line):
        fit(make(), data=(X, Y), execution="persistent", **settings)
    assert fit(make(), data=(X, Y), **settings).execution == "eager"


def test_images_are_mirrored_by_the_plain_text():
    data = xbnet.Dataset("images", xbnet.Part(RNG.random((20, 12)), Y[:20]), image_shape=(1, 3, 4))
    net = Network([Linear(C)], 12, rng=0, backend=emulation.backend())
    with refuses(ConfigError, "fit: execution 'persistent' is not possible: the kernel mirrors no images; use 'auto'"):
        fit(net, "cross_entropy", "sgd", data, flip=0.5, execution="persistent")


def test_without_kernels_it_is_not_possible():
    line = "fit: execution 'persistent' is not possible: backend 'numpy' runs no kernels; use 'auto'"
    with refuses(ConfigError, line):
        fit(Network([Linear(C)], INPUTS), "cross_entropy", "sgd", (X, Y), execution="persistent")
    history = fit(Network([Linear(C)], INPUTS), "cross_entropy", "sgd", (X, Y), epochs=1)
    assert history.execution == "replay"


def test_a_misspelled_level_gets_the_nearest_one():
    with pytest.raises(ConfigError, match="^fit: unknown execution 'graf'.*graph"):
        fit(Network([Linear(C)], INPUTS), "cross_entropy", "sgd", (X, Y), execution="graf")


def test_a_kernel_that_does_not_compile(monkeypatch):
    """With "auto" there is another way; who asks for this one is told what the compiler said first."""

    def prepare(source, name, shared_bytes):
        raise RuntimeError(f"{source}: no such architecture\nand a long log")

    plain, _ = train("eager")
    net = network()
    monkeypatch.setattr(net.backend.launcher, "prepare", prepare)
    with pytest.warns(
        UserWarning, match=r"^execution 'persistent' failed \(train.cuh: no such architecture\); trying the next$"
    ):
        history = fit(net, "cross_entropy", xbnet.SGD(0.2), (X, Y), epochs=3, batch_size=32, rng=2)
    assert history.execution == "eager"
    np.testing.assert_array_equal(net.theta, plain.theta)
    line = "fit: execution 'persistent' is not possible: train.cuh: no such architecture; use 'auto'"
    with refuses(ConfigError, line):
        train("persistent", net=network())
