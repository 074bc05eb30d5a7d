from dataclasses import dataclass

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError
from xbnet.optim.schedule import Schedule
from xbnet.optim.schedules import (
    SCHEDULES,
    Cosine,
    Exponential,
    InverseTime,
    Plateau,
    Step,
    Triangular,
    Warmup,
    get_schedule,
)

EPOCHS = np.array([[0.0], [0.5], [1.0], [2.0], [3.0]])


@pytest.mark.parametrize("row", cases.SCHEDULES)
def test_factors_by_hand(row):
    schedule, expected = cases.SCHEDULES[row]()
    factors = np.broadcast_to(schedule.bind(1).factors(EPOCHS, 4), (5, 1))
    np.testing.assert_allclose(factors[:, 0], expected, rtol=1e-12)


@pytest.mark.parametrize("row", cases.SCHEDULES)
def test_a_value_per_replica_is_each_replicas_own_schedule(row):
    schedule, _ = cases.SCHEDULES[row]()
    values = schedule._parameters()
    several = type(schedule)(**{key: [v, 2 * v, 0.5 * v] for key, v in values.items()}).bind(3)
    for r, scale in enumerate([1, 2, 0.5]):
        alone = type(schedule)(**{key: scale * v for key, v in values.items()}).bind(1)
        everyone = np.broadcast_to(several.factors(EPOCHS, 4), (5, 3))
        np.testing.assert_array_equal(everyone[:, r], np.broadcast_to(alone.factors(EPOCHS, 4), (5, 1))[:, 0])
        chosen = np.broadcast_to(several.select(np.array([r])).factors(EPOCHS, 4), (5, 1))
        np.testing.assert_array_equal(everyone[:, [r]], chosen)


@pytest.mark.parametrize("row", cases.SCHEDULES)
def test_factors_have_the_same_bits_for_any_number_of_steps(row):
    schedule, _ = cases.SCHEDULES[row]()
    together = np.broadcast_to(schedule.factors(EPOCHS, 4), (5, 1))
    for epoch, factor in zip(EPOCHS, together, strict=True):
        assert schedule.factors(epoch[None], 4).item() == factor.item()


def test_warmup_then():
    ramp, cosine = Warmup(epochs=2), Cosine()
    both = Warmup(epochs=2, then=cosine)
    np.testing.assert_allclose(both.factors(EPOCHS, 4), ramp.factors(EPOCHS, 4) * cosine.factors(EPOCHS, 4))


def test_plateau_falls_after_patience_epochs_without_a_better_loss():
    plateau = Plateau(factor=0.5, patience=2).bind(2)
    seen = []
    for metric in ([1.0, 1.0], [0.9, 1.0], [0.9, 1.0], [0.8, 1.0], [0.9, 1.0], [0.9, 0.5]):
        plateau.update(np.array(metric))
        seen.append(np.broadcast_to(plateau.factors(np.zeros((1, 1)), 9), (1, 2))[0].tolist())
    assert seen == [[1, 1], [1, 1], [1, 0.5], [1, 0.5], [1, 0.25], [0.5, 0.25]]


def test_plateau_is_pytorchs_with_one_epoch_of_patience_less():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    for patience in (0, 1, 3):
        optimizer = torch.optim.SGD([torch.zeros(1)], lr=1.0)
        make = torch.optim.lr_scheduler.ReduceLROnPlateau
        theirs = make(optimizer, factor=0.5, patience=patience, threshold=0, eps=0)
        ours = Plateau(factor=0.5, patience=patience + 1).bind(1)
        for metric in rng.integers(0, 50, 60) / 10:
            theirs.step(metric)
            ours.update(np.array([metric]))
            assert ours.factors(np.zeros((1, 1)), 9).item() == optimizer.param_groups[0]["lr"]


def test_plateau_within_warmup_takes_notes():
    both = Warmup(epochs=1, then=Plateau(factor=0.1, patience=1)).bind(1)
    both.update(np.array([1.0]))
    both.update(np.array([1.0]))
    np.testing.assert_allclose(np.broadcast_to(both.factors(np.array([[5.0]]), 9), (1, 1)), 0.1)
    again = Warmup(epochs=1, then=Plateau(factor=0.1, patience=1)).bind(1)
    again.restore({key: np.asarray(value, float) for key, value in both.state().items()})
    np.testing.assert_allclose(again.factors(np.array([[5.0]]), 9), 0.1)


def test_fit_takes_no_notes_in_the_users_schedule():
    plateau = Plateau(patience=1)
    xbnet.fit(cases.network(), "cross_entropy", "sgd:lr=9", cases.samples(), epochs=4, batch_size=8, schedule=plateau)
    assert (plateau.scale, plateau.best, plateau.waited) == (1.0, np.inf, 0)


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        (None, Schedule()),
        ("constant", Schedule()),
        ("step:every=2,gamma=0.5", Step(2, 0.5)),
        ("exponential:gamma=0.9", Exponential(0.9)),
        ("inverse_time:rate=1", InverseTime(1)),
        ("cosine", Cosine()),
        ("triangular:half_cycle=3", Triangular(3)),
        ("warmup:epochs=3,then=cosine", Warmup(3, Cosine())),
        ("plateau:patience=2", Plateau(patience=2)),
    ],
)
def test_get_schedule(text, schedule):
    assert get_schedule(text) == schedule
    assert get_schedule(schedule) is schedule


KNOWN = f"known are {', '.join(sorted(SCHEDULES))}"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: get_schedule("cosin"), f"schedule: unknown schedule 'cosin'; did you mean 'cosine'? {KNOWN}"),
        (lambda: get_schedule(5), f"schedule: unknown schedule 5; {KNOWN}"),
        (
            lambda: get_schedule("warmup:then=cosin"),
            f"schedule: unknown schedule 'cosin'; did you mean 'cosine'? {KNOWN}",
        ),
        (
            lambda: get_schedule("step:evry=2"),
            "schedule 'step': unknown parameter 'evry'; did you mean 'every'? known are every, gamma",
        ),
        (lambda: get_schedule("step:every=x"), "schedule 'step': expected every=NUMBER, got every=x"),
        (lambda: get_schedule("step:every"), "schedule 'step': expected key=value, got 'every'"),
        (lambda: get_schedule("step:every=0"), "Step: expected every > 0, got 0.0"),
        (lambda: get_schedule("step:every=nan"), "Step: expected every > 0, got nan"),
        (lambda: Step(gamma=-1), "Step: expected gamma >= 0, got -1"),
        (lambda: Step("a"), "Step.every: expected a number or one per replica, got 'a'"),
        (lambda: InverseTime([1, -1]), "InverseTime: expected rate >= 0, got [1, -1]"),
        (lambda: Triangular(0), "Triangular: expected half_cycle > 0, got 0"),
        (lambda: Warmup(0), "Warmup: expected epochs > 0, got 0"),
        (lambda: Plateau(patience=0), "Plateau: expected patience > 0, got 0"),
        (lambda: Cosine(float("inf")), "Cosine: expected final >= 0, got inf"),
        (lambda: Step([1, 2]).bind(3), "Step.every: expected a number or one per replica (R=3), got shape (2,)"),
        (
            lambda: Warmup(1, Step([1, 2])).bind(3),
            "Warmup.then.every: expected a number or one per replica (R=3), got shape (2,)",
        ),
    ],
)
def test_bad_input(make, line):
    with refuses(ConfigError, line):
        make()


# -- planned ahead -----------------------------------------------------------------------------------------------------


@dataclass
class Halving(Schedule):
    """Half as much after each epoch, by `update` alone."""

    def __post_init__(self):
        self.factor = 1.0

    def update(self, metric):
        self.factor *= 0.5

    def factors(self, epochs, total):
        return np.full_like(epochs, self.factor)

    def select(self, index):
        return self


class Table(Schedule):
    """A factor for each epoch of the run, and none beyond it."""

    def factors(self, epochs, total):
        return np.array([1.0, 0.5, 0.1])[epochs.astype(int)]


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Halving, [1.0, 0.5, 0.25]),  # none before it is updated
        (lambda: Warmup(epochs=1e-9, then=Halving()), [1.0, 0.5, 0.25]),
        (Table, [1.0, 0.5, 0.1]),  # none after the run
    ],
)
def test_factors_are_asked_for_when_they_are_due(schedule, factors):
    network, settings = xbnet.Network([xbnet.Linear(3)], 4), {"epochs": 3, "schedule": schedule()}
    history = xbnet.fit(network, "cross_entropy", xbnet.SGD(1.0), cases.samples(), **settings)
    assert history["lr"].tolist() == factors
