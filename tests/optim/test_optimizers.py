import numpy as np
import pytest

from tests.support import cases
from tests.support.errors import refuses
from xbnet import SGD, Adam, AdamW, ConfigError, Momentum, Nesterov, RMSProp
from xbnet.optim.optimizers import OPTIMIZERS, get_optimizer


def bound(optimizer, replicas=1, dtype="float64"):
    return optimizer.bind(cases.network(replicas=replicas, dtype=dtype))


def move(rule, gradient, lr=None):
    """One step under a constant gradient; the distance that every parameter went (they start alike)."""
    rule.network.grad[...] = gradient
    before = rule.network.theta.copy()
    rule.step(lr)
    return rule.network.theta - before


# Two steps under the gradients 2 and -1, by hand.
BY_HAND = [
    (SGD(0.1), [-0.2, 0.1]),
    (Momentum(0.1, momentum=0.5), [-0.2, -0.1 * (0.5 * 2 - 1)]),
    (Nesterov(0.1, momentum=0.5), [-0.1 * (2 + 0.5 * 2), -0.1 * (-1 + 0.5 * (0.5 * 2 - 1))]),
    (
        RMSProp(0.1, decay=0.75, eps=0.5),
        [-0.1 * 2 / (1 + 0.5), 0.1 / ((0.75 * 1 + 0.25 * 1) ** 0.5 + 0.5)],
    ),
    (
        Adam(0.1, beta1=0.5, beta2=0.75, eps=0.5),
        [
            -0.1 * 2 / (2 + 0.5),
            -0.1 * ((0.5 * 1 - 0.5 * 1) / (1 - 0.25)) / (((0.75 * 1 + 0.25 * 1) / (1 - 0.5625)) ** 0.5 + 0.5),
        ],
    ),
]


@pytest.mark.parametrize(("optimizer", "moves"), BY_HAND, ids=lambda v: getattr(v, "name", ""))
def test_two_steps_by_hand(optimizer, moves):
    rule = bound(optimizer, replicas=2)
    for gradient, expected in zip([2.0, -1.0], moves, strict=True):
        np.testing.assert_allclose(move(rule, gradient), expected, rtol=1e-12, atol=1e-15)
    assert rule.steps == 2


def test_adamw_shrinks_weights_and_leaves_the_rest():
    rule = bound(AdamW(0.1, weight_decay=0.5))
    rule.network.theta[...] = 2.0
    moved = move(rule, 0.0)
    n = rule.network.n_weights
    np.testing.assert_allclose(moved[:, :n], -2.0 * 0.1 * 0.5)
    assert np.all(moved[:, n:] == 0)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_the_gradient_is_only_read(row):
    rule = bound(cases.OPTIMIZERS[row]())
    move(rule, 0.5)
    assert np.all(rule.network.grad == 0.5)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_every_rule_goes_down(row):
    """A parabola with its bottom at 1, with an axis ten times as steep as the other."""
    rule = bound(cases.OPTIMIZERS[row]())
    theta, steep = rule.network.theta, np.geomspace(0.3, 3, rule.network.n_parameters)
    rule.network.theta[...] = -1.0
    for _ in range(400):
        rule.network.grad[...] = steep * (theta - 1.0)
        rule.step()
    first = rule.network.n_weights if row == "adamw" else 0  # decayed weights stay short of the bottom
    assert np.abs(theta[:, first:] - 1.0).max() < 0.05


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_planned_rates_are_the_rates_of_the_steps(row):
    """However many steps' columns are made at once, in the same bits."""
    rates = np.array([[0.5], [0.1], [0.02]])
    planned, one_by_one = bound(cases.OPTIMIZERS[row]()), bound(cases.OPTIMIZERS[row]())
    columns = planned.columns(rates)
    for step, rate in enumerate(rates):
        planned.network.grad[...] = step - 0.5
        planned.apply(columns[:, step])
        move(one_by_one, step - 0.5, rate)
        np.testing.assert_array_equal(planned.network.theta, one_by_one.network.theta)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_coefficients_have_the_same_bits_for_any_number_of_steps_and_replicas(row):
    """NumPy's power takes a shortcut for one exponent; 0.8^2 and 0.8 * 0.8 differ in the last bit."""
    optimizer, t = cases.OPTIMIZERS[row](), np.arange(1, 9)[:, None]
    for replicas in (1, 2, 3):
        rule, lr = bound(optimizer, replicas), np.full((8, replicas), 0.1)
        tables = [np.broadcast_to(c, lr.shape) for c in rule.coefficients(lr, t)]
        for s, r in np.ndindex(lr.shape):
            alone = bound(optimizer).coefficients(np.array([[0.1]]), t[s : s + 1])
            assert [table[s, r] for table in tables] == [np.ravel(c)[0] for c in alone]


def test_steps_keep_the_rate_given_at_the_start():
    rule = bound(SGD(0.25))
    for _ in range(3):
        np.testing.assert_allclose(move(rule, 1.0), -0.25)


def test_state_is_one_array_per_slot_of_the_networks_type():
    for row in cases.OPTIMIZERS.values():
        rule = bound(row(), replicas=2, dtype="float32")
        assert set(rule.state) == set(rule.slots)
        move(rule, 1.0)
        for array in [*rule.state.values(), rule.work, rule.columns()]:
            assert array.dtype == np.float32
        assert all(array.shape == rule.network.theta.shape for array in rule.state.values())


def test_select_takes_hyper_parameters_and_state_along():
    for row in cases.OPTIMIZERS.values():
        rule = bound(type(row())(**{key: [v, 0.5 * v, 0.25 * v] for key, v in row().hyper.items()}), replicas=3)
        rule.network.grad[...] = np.random.default_rng(0).normal(size=rule.network.grad.shape)
        rule.step()
        some = np.array([2, 0])
        twin = rule.select(some, rule.network.select(some))
        assert twin.steps == 1
        for gradient in (0.3, -0.2):
            np.testing.assert_array_equal(move(rule, gradient)[some], move(twin, gradient))


def test_a_successor_takes_the_state_away():
    rule = bound(Adam([0.1, 0.2, 0.3]), replicas=3)
    rule.network.grad[...] = 1
    rule.step()
    some = np.array([2, 0])
    one, two = (rule.select(some, rule.network.select(some), successor=last) for last in (False, True))
    assert not rule.state
    for gradient in (0.3, -0.2):
        np.testing.assert_array_equal(move(one, gradient), move(two, gradient))


def test_binding_leaves_the_optimizer_as_it_was():
    optimizer = Adam(0.1)
    before = dict(vars(optimizer))
    move(bound(optimizer), 1.0)
    assert vars(optimizer) == before
    assert repr(optimizer) == "Adam(lr=0.1, beta1=0.9, beta2=0.999, eps=1e-08)"


def test_get_optimizer():
    assert isinstance(get_optimizer("sgd"), SGD)
    made = get_optimizer("adam:beta2=0.9, eps=1e-3", lr=0.5)
    assert made.hyper == {"lr": 0.5, "beta1": 0.9, "beta2": 0.9, "eps": 1e-3}
    assert get_optimizer(made) is made
    assert all(isinstance(get_optimizer(name), kind) for name, kind in OPTIMIZERS.items())


KNOWN = "known are adam, adamw, momentum, nesterov, rmsprop, sgd"


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: SGD("fast"), "sgd.lr: expected a number or one per replica, got 'fast'"),
        (lambda: SGD([[0.1]]), "sgd.lr: expected a number or one per replica, got [[0.1]]"),
        (lambda: SGD(None), "sgd: expected lr in [0, inf), got None"),
        (lambda: SGD(-1), "sgd: expected lr in [0, inf), got -1"),
        (lambda: SGD(float("nan")), "sgd: expected lr in [0, inf), got nan"),
        (lambda: Momentum(momentum=1), "momentum: expected momentum in [0, 1), got 1"),
        (lambda: Nesterov(momentum=-0.1), "nesterov: expected momentum in [0, 1), got -0.1"),
        (lambda: RMSProp(decay=1.5), "rmsprop: expected decay in [0, 1), got 1.5"),
        (lambda: Adam(beta1=1.0), "adam: expected beta1 in [0, 1), got 1.0"),
        (lambda: Adam(beta2=[0.9, 1.0]), "adam: expected beta2 in [0, 1), got [0.9, 1.0]"),
        (lambda: AdamW(weight_decay=-1), "adamw: expected weight_decay in [0, inf), got -1"),
        (lambda: bound(SGD([1, 2]), 3), "sgd.lr: expected a number or one per replica (R=3), got shape (2,)"),
        (lambda: get_optimizer("admm"), f"optimizer: unknown optimizer 'admm'; did you mean 'adam'? {KNOWN}"),
        (lambda: get_optimizer(5), f"optimizer: unknown optimizer 5; {KNOWN}"),
        (
            lambda: get_optimizer("adam", beta3=1),
            "optimizer 'adam': unknown parameter 'beta3'; did you mean 'beta2'? known are beta1, beta2, eps, lr",
        ),
        (lambda: get_optimizer("adam:beta1=x"), "optimizer 'adam': expected beta1=NUMBER, got beta1=x"),
        (lambda: get_optimizer("adam:beta1"), "optimizer 'adam': expected key=value, got 'beta1'"),
        (
            lambda: SGD().step(),
            "sgd: expected an optimizer bound to a network; call bind(network) first",
        ),
    ],
)
def test_bad_input(make, line):
    with refuses(ConfigError, line):
        make()


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
@pytest.mark.parametrize("block", [1, 5, 40, 100])
def test_blocks_of_theta_give_the_bits_of_the_whole(row, block, monkeypatch):
    """Of several rows, of one, or of a part of one."""
    whole = bound(cases.OPTIMIZERS[row](), replicas=3)
    move(whole, 0.5)  # blocks are cut at the first step
    monkeypatch.setattr("xbnet.optim.tiles.BLOCK", block)
    rule = bound(cases.OPTIMIZERS[row](), replicas=3)
    move(rule, 0.5)
    assert len(whole.blocks) == 1 < len(rule.blocks)
    assert sum(part.theta.size for part in rule.blocks) == rule.network.theta.size
    assert max(part.work.size for part in rule.blocks) <= block
    rng = np.random.default_rng(0)
    for _ in range(3):
        gradient = rng.normal(size=rule.network.grad.shape)
        np.testing.assert_array_equal(move(rule, gradient), move(whole, gradient))
    for slot in rule.slots:
        np.testing.assert_array_equal(rule.state[slot], whole.state[slot])


def test_one_network_without_state_takes_larger_blocks(monkeypatch):
    monkeypatch.setattr("xbnet.optim.tiles.BLOCK", 10)
    rules = [bound(rule, replicas=R) for rule, R in ((SGD(), 1), (SGD(), 2), (Adam(), 1))]
    for rule in rules:
        move(rule, 0.5)
    assert [max(block.work.size for block in rule.blocks) for rule in rules] == [40, 10, 10]
