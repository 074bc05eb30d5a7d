"""Steps on devices that are emulated: graphs and the persistent kernel, right ones and broken ones."""

import numpy as np
import pytest

import xbnet
from tests.support.devices import capturing, emulation
from xbnet import Linear
from xbnet.training.execution import graph, persistent

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(11, 4)), np.r_[:3, RNG.integers(0, 3, 8)]
BACKENDS = {"graph": lambda: capturing.backend(True, False), "persistent": emulation.backend}


def judged(level, optimizer="momentum", **settings):
    layers = [Linear(5, "tanh"), Linear(3)]
    network = xbnet.Network(layers, 4, replicas=3, dtype="float64", rng=0, backend=BACKENDS[level]())
    return xbnet.training_test(network, "cross_entropy", optimizer, (X, Y), levels=[level], **settings)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("level", BACKENDS)
def test_right_steps(level, optimizer):
    result = judged(level, optimizer, schedule="cosine", l2=[0.1, 0.0, 0.2], clip_norm=0.5, batch_sizes=[3, 2])
    assert result.passed, str(result)
    assert [one.level for one in result.levels] == [level]
    assert "the same numbers, up to rounding" in str(result) or "the same bits" in str(result)


def keeps(name):
    """The graph's own array `name` stays what it was when the first chunk came."""

    def change(was):
        def run_chunk(self, trainer):
            first = self.__dict__.setdefault("first", getattr(self, name).copy())
            getattr(self, name)[...] = first
            was(self, trainer)

        return run_chunk

    return change


def hands_over(change):
    """The kernel gets other arguments."""

    def mutate(was):
        def __init__(self, trainer):
            was(self, trainer)
            launch = self.launcher.launch

            class Launcher:
                @staticmethod
                def launch(file, kernel, blocks, threads, shared, arguments):
                    launch(file, kernel, blocks, threads, shared, tuple(change(list(arguments))))

            self.launcher = Launcher

        return __init__

    return mutate


def without(place):
    def change(arguments):
        arguments[place] = None
        return arguments

    return change


def late_rates(arguments):
    table = arguments[10]
    arguments[10] = np.ascontiguousarray(np.roll(table, 1, axis=1))
    arguments[11] = np.int64(arguments[10].strides[0] // table.itemsize)
    return arguments


MUTANTS = {
    "graph: rows of the first chunk": ("graph", (graph.Graph, "_run_chunk", keeps("index")), "graph: wrong in "),
    "graph: rates of the first chunk": ("graph", (graph.Graph, "_run_chunk", keeps("table")), "graph: wrong in "),
    "persistent: no clipping": (
        "persistent", (persistent.Persistent, "__init__", hands_over(without(14))),
        "persistent: wrong in step 1 of 12, in all replicas, in all blocks",
    ),
    "persistent: no l2": (
        "persistent", (persistent.Persistent, "__init__", hands_over(without(12))),
        "persistent: wrong in step 1 of 12, in replicas 0 and 2, ",
    ),
    "persistent: rates one step late": (
        "persistent", (persistent.Persistent, "__init__", hands_over(late_rates)), "persistent: wrong in step 1 of 12"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught_and_named(monkeypatch, name):
    level, (kind, method, change), named = MUTANTS[name]
    monkeypatch.setattr(kind, method, change(getattr(kind, method)))
    result = judged(level, schedule="cosine", l2=[0.1, 0.0, 0.2], clip_norm=0.05, batch_sizes=[3, 2])
    assert result.passed is False
    assert any(named in line for line in result.failures()), "\n".join(result.failures())
