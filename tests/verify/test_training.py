"""`training_test` of right steps: everything that the library has, a user's own parts, and what it refuses."""

import json
import re

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet import Linear
from xbnet.optim.optimizers import OPTIMIZERS
from xbnet.optim.schedules import SCHEDULES, Schedule
from xbnet.optim.strategies import STRATEGIES
from xbnet.verify.steps.catalogue import training_catalogue
from xbnet.verify.steps.rules import RULES

HOST = ["eager", "replay"]
CASES = {case.name: case for case in training_catalogue(levels=HOST)}
ALONE = {case.name: case for case in training_catalogue(levels=["eager"])}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(10, 4)), np.r_[:3, RNG.integers(0, 3, 7)]


def network(*layers, dtype="float64", replicas=2, **more):
    layers = [*(layers or [Linear(5, "tanh")]), Linear(3)]
    return xbnet.Network(layers, 4, replicas=replicas, dtype=dtype, rng=0, **more)


def judged(optimizer="momentum", net=None, loss="cross_entropy", levels=HOST, **settings):
    return xbnet.training_test(net or network(), loss, optimizer, (X, Y), levels=levels, **settings)


@pytest.mark.parametrize("name", CASES)
def test_everything_is_right(name):
    """Replayed each fourth: that replay ends in the bits of eager steps is tested with the levels of execution."""
    both = [*CASES].index(name) % 4 == 0
    result = (CASES if both else ALONE)[name].run()
    assert result.passed, str(result)
    assert [level.level for level in result.levels] == (HOST if both else ["eager"])
    assert all(level.sharpness <= 1e-8 for level in result.levels)


def test_the_catalogue_has_everything_that_is_public():
    names = {
        kind: {n.split("/")[1].split()[0] for n in CASES if n.startswith(kind)} for kind in ("optim", "sched", "strat")
    }
    assert names["optim"] == set(OPTIMIZERS)
    assert names["sched"] == set(SCHEDULES)
    assert names["strat"] == set(STRATEGIES) - {"joint"}
    assert set(OPTIMIZERS.values()) == set(RULES)


@pytest.mark.parametrize("name", ["optimizers/adam", "schedules/plateau", "batches/dropout and statistics"])
def test_the_machine_is_right(name):
    pytest.importorskip("numba")
    result = next(c for c in training_catalogue(levels=["compiled"]) if c.name == name).run()
    assert result.passed, str(result)


def test_single_precision_is_judged_by_its_own_rounding():
    result = judged("adam", network(dtype="float32"), l2=0.1)
    assert result.passed, str(result)
    found = [(level.level, level.dtype, level.sharpness < 1e-8) for level in result.levels]
    assert found == [
        ("eager", "float64", True),
        ("replay", "float64", True),
        ("eager", "float32", False),
        ("replay", "float32", False),
    ]
    assert all(level.sharpness < 1e-2 for level in result.levels)


def test_the_network_is_left_as_it_is():
    net = network(Linear(5, "relu"), xbnet.Dropout([0.2, 0.5]), xbnet.BatchNorm())
    before = [net.theta.copy(), net.state.copy(), [g.bit_generator.state for g in net.streams]]
    optimizer = xbnet.Adam([0.01, 0.02])
    result = judged(optimizer, net)
    assert result.passed, str(result)
    np.testing.assert_array_equal(net.theta, before[0])
    np.testing.assert_array_equal(net.state, before[1])
    assert [g.bit_generator.state for g in net.streams] == before[2]
    assert not hasattr(optimizer, "network")


class SignSGD(xbnet.Optimizer):
    """theta <- theta - lr sign(grad)."""

    name = "signsgd"
    replayable = True

    def update(self, theta, grad, lr):
        self.xp.sign(grad, out=self.work)
        self.xp.multiply(self.work, lr, out=self.work)
        self.xp.subtract(theta, self.work, out=theta)


class Couples(SignSGD):
    """Replicas see each other."""

    replayable = True

    def update(self, theta, grad, lr):
        super().update(theta, grad, lr.mean(axis=0, keepdims=True))


class Forgets(SignSGD):
    """Keeps something that is no slot: a resumed run does not know it."""

    replayable = False
    count = 0

    def update(self, theta, grad, lr):
        self.count += 1
        super().update(theta, grad, lr / self.count)


def test_an_own_optimizer_is_taken_at_its_word_and_all_around_it_is_proven(monkeypatch):
    result = judged(SignSGD([0.01, 0.02]), l2=0.1, clip_norm=0.5)
    assert result.passed, str(result)
    assert "rule: the optimizer's own text, taken at its word" in str(result)
    right = xbnet.training.step.BoundStep._clip

    def clip(self, limit):
        right(self, limit)
        self.network.grad.fill(1.0)

    monkeypatch.setattr(xbnet.training.step.BoundStep, "_clip", clip)
    assert not judged(SignSGD([0.01, 0.02]), clip_norm=0.5).passed


def test_an_own_optimizer_that_couples_replicas_or_forgets_is_found():
    assert any(
        line.startswith("each replica alone, as in the stack: ") for line in judged(Couples([0.01, 0.02])).failures()
    )
    result = judged(Forgets([0.01, 0.02]))
    assert any(line.startswith("resumed, as not interrupted: ") for line in result.failures()), str(result)


def sign_rule(theta, grad, memory, t, *, lr):
    return theta - lr * np.sign(grad)


def test_an_own_optimizer_against_the_rule_that_its_author_gives():
    result = judged(SignSGD([0.01, 0.02]), rule=sign_rule)
    assert result.passed, str(result)
    assert result.rule == "the user's"
    wrong = judged(SignSGD([0.01, 0.02]), rule=lambda theta, grad, memory, t, *, lr: theta - t * lr * np.sign(grad))
    assert wrong.failures()[0].startswith("eager: wrong in every step from the second on, first in step 2 of 9, ")


def test_own_schedule_strategy_and_loss():
    class Halved(Schedule):
        def factors(self, epochs, total):
            return 0.5 ** (1 + np.floor(epochs))

    class OnlyTheLast(xbnet.Strategy):
        name = "last"

        def factors(self, network, epoch):
            return np.array([0.0, 1.0])

    class Doubled(xbnet.SoftmaxCrossEntropy):
        def _scale(self, dlogits):
            super()._scale(dlogits)
            dlogits *= 2

    result = judged("adamw", loss=Doubled(), schedule=Halved(), strategy=OnlyTheLast())
    assert result.passed, str(result)


@pytest.mark.parametrize("level", ["eager", "compiled"])
def test_an_own_loss_of_members_that_share_weights(level):
    """It is called for each member's answers, which the reference counts as samples."""

    class Own(xbnet.SoftmaxCrossEntropy):
        pass

    layers = [Linear(6), xbnet.MemberOutputs(3, members=3)]
    net = xbnet.Network(layers, 4, replicas=2, dtype="float64", rng=0)
    weights = np.linspace(0.1, 2, 10)
    result = judged(net=net, loss=Own(class_weight=[1, 2, 0.5]), sample_weight=weights, levels=[level])
    assert result.passed, str(result)


def test_one_network():
    result = judged(net=network(replicas=1))
    assert result.passed, str(result)


def test_who_diverges_is_not_judged_from_then_on():
    result = judged(xbnet.SGD([0.1, 1e200]), loss="mse")
    assert result.passed is not False, str(result)
    assert judged(xbnet.SGD(1e300)).passed is not False
    assert judged(xbnet.SGD(1e300), loss="mse").passed is not False


def test_levels_that_are_not_possible_are_told_or_refused():
    result = xbnet.training_test(network(), "mse", "sgd", (X, Y))
    assert {"graph", "persistent"} <= set(result.absent)
    assert re.search(r"^graph +not here: backend 'numpy' captures no graphs$", str(result), re.MULTILINE)
    with refuses(
        xbnet.ConfigError, "fit: execution 'graph' is not possible: backend 'numpy' captures no graphs; use 'auto'"
    ):
        judged(levels=["graph"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"levels": ["auto"]}, "training_test: expected levels among eager, replay, compiled, graph, persistent, got 'auto'"),
        ({"batch_size": 3}, "training_test: batch_size is not a setting of this test; it takes batch_sizes"),
        ({"execution": "eager"}, "training_test: execution is not a setting of this test; it takes levels"),
        ({"patience": 3}, "training_test: patience is not a setting of this test; who stops when, and with which weights, is"),
        ({"batch_sizes": [11]}, "fit: expected batch_size <= 10, the number of training samples, got 11"),
        ({"batch_sizes": []}, "training_test: expected at least one batch size, got none"),
        ({"epoch": 3}, "training_test: "),
        ({"rng": "zero"}, "rng: expected an integer >= 0"),
    ],
)  # fmt: skip
def test_bad_settings_are_one_line(settings, message):
    with pytest.raises(xbnet.XbnetError) as caught:
        judged(**settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_result_prints_and_becomes_json():
    result = judged("adam")
    lines = str(result).splitlines()
    assert lines[0].startswith(
        "training_test: 4 -> [Linear(n_outputs=5, activation='tanh'), Linear(n_outputs=3)], R=2, "
    )
    assert lines[0].endswith("batches of 4 and 3 of 10")
    assert re.fullmatch(r"eager +float64 +21 +\d+ +1e-09 of a step  ok", lines[2])
    assert "each replica alone, as in the stack: ok, the same bits (2 of 2)" in lines
    assert "resumed, as not interrupted: ok, the same bits" in lines
    assert lines[-2:] == ["rule: the paper's; seed 0", "PASSED"]
    found = json.loads(json.dumps(result.to_dict()))
    assert found["passed"] is True
    assert found["levels"]["replay float64"]["steps"] == 21
    assert "ok" in repr(result)
    assert "<table" in result._repr_html_()


def test_every_backend(backend):
    net = network(backend=backend)
    result = xbnet.training_test(net, "cross_entropy", "adam", (X, Y), epochs=2, batch_sizes=[4])
    assert result.passed, str(result)
