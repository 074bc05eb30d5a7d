"""The contract: on NumPy, a member of a stack ends with the same bits as the same network trained alone."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import xbnet
from tests.support.chance import examples
from xbnet.nn.activations import ACTIVATIONS
from xbnet.sweeps.chunk import run_chunk

from .conftest import assert_same_table, make_data

numbers = {
    "lr": st.sampled_from([1e-3, 0.03, 0.3, 3.0, 300.0]),
    "l2": st.sampled_from([0, 1e-3]),
    "l1": st.sampled_from([0, 1e-4]),
    "dropout": st.sampled_from([0, 0.3, 0.6]),
    "clip_norm": st.sampled_from([0.1, 1.0, 50.0]),
    "label_smoothing": st.sampled_from([0, 0.1]),
    "init_scale": st.sampled_from([0, 0.5, 2.0]),
    "weight_seed": st.integers(0, 2),
    "order_seed": st.integers(0, 2),
}
by_optimizer = {
    "sgd": {},
    "momentum": {"momentum": st.sampled_from([0, 0.5, 0.9])},
    "nesterov": {"momentum": st.sampled_from([0, 0.5, 0.9])},
    "rmsprop": {"decay": st.sampled_from([0.9, 0.99])},
    "adam": {"beta1": st.sampled_from([0.5, 0.9]), "beta2": st.sampled_from([0.9, 0.999])},
    "adamw": {"weight_decay": st.sampled_from([0, 0.1])},
}
by_schedule = {
    "constant": {},
    "step": {"schedule.every": st.integers(1, 2), "schedule.gamma": st.sampled_from([0.1, 0.9])},
    "exponential": {"schedule.gamma": st.sampled_from([0.1, 0.9])},
    "inverse_time": {"schedule.rate": st.sampled_from([0, 0.3])},
    "cosine": {"schedule.final": st.sampled_from([0, 0.1])},
    "triangular": {"schedule.half_cycle": st.integers(1, 2), "schedule.low": st.sampled_from([0, 0.5])},
    "warmup": {"schedule.epochs": st.integers(1, 2)},
    "plateau": {"schedule.patience": st.integers(1, 2), "schedule.factor": st.sampled_from([0.1, 0.5])},
}
losses = {
    "classification": ["cross_entropy", "mse", "binary_cross_entropy"],
    "multilabel": ["binary_cross_entropy"],
    "regression": ["mse"],
}
widths = st.one_of(st.integers(1, 9), st.integers(1, 70))
activations = st.sampled_from(sorted(ACTIVATIONS))
blocks = st.one_of(
    st.builds(lambda *a: lambda rate: xbnet.Linear(*a), widths, activations),
    st.builds(lambda *a: lambda rate: xbnet.Residual(begin=a[0], end=a[1]), activations, activations),
    st.sampled_from([lambda rate: xbnet.BatchNorm(), lambda rate: xbnet.LayerNorm(), xbnet.Dropout]),
)


@st.composite
def datasets(draw, task):
    """Up to 90 samples to train on and 40 to validate on, for a network with 1 to 6 inputs and 2 to 4 outputs."""
    rng, C, inputs = np.random.default_rng(draw(st.integers(0, 9))), draw(st.integers(2, 4)), draw(st.integers(1, 6))
    parts = []
    for n in (draw(st.integers(20, 90)), draw(st.one_of(st.just(0), st.integers(C, 40)))):
        labels = np.arange(n) % C
        x = rng.normal(size=(n, inputs)) + labels[:, None]
        y = {"classification": labels, "multilabel": np.eye(C, dtype=int)[labels], "regression": x[:, :1] * np.ones(C)}
        parts.append(xbnet.Part(x.astype("float32"), y[task]))
    return xbnet.Dataset("any", parts[0], parts[1] if len(parts[1]) else None)


@st.composite
def sweeps(draw):
    optimizer, schedule = draw(st.sampled_from(sorted(by_optimizer))), draw(st.sampled_from(sorted(by_schedule)))
    keys = draw(st.sets(st.sampled_from(sorted(numbers)), min_size=1))
    pool = {key: numbers[key] for key in keys} | by_optimizer[optimizer] | by_schedule[schedule]
    space = draw(st.lists(st.fixed_dictionaries(pool), min_size=2, max_size=6))
    task = draw(st.sampled_from(["classification"] * 3 + ["multilabel", "regression"]))
    data = draw(datasets(task))
    folds = draw(st.sampled_from([None, 2, 3]))
    validated = data.val is not None or folds is not None
    smallest = len(data.train) // 2 if folds else len(data.train)
    fixed = {
        "optimizer": optimizer,
        "schedule": schedule,
        "batch_size": draw(st.one_of(st.sampled_from([2, 7, None]), st.integers(2, smallest))),
        "loss": draw(st.sampled_from(losses[task])),
        "patience": draw(st.sampled_from([None, 1, 2])),
        "epochs": draw(st.integers(3, 4)),
        "halving": draw(st.sampled_from([None, None, 2, "hyperband:2", "asha:2"])),
        "folds": folds,
        "scaling": draw(st.sampled_from(["none", "standard", "robust", "quantile"])),
        "workers": draw(st.integers(1, 2)),
        "dtype": draw(st.sampled_from(["float32", "float64"])),
        "monitor": draw(st.sampled_from([None, "train_loss", *["val_loss"] * validated])),
        "class_weight": draw(st.sampled_from([None, np.arange(1.0, data.n_outputs + 1)])),
        "sample_weight": draw(st.sampled_from([None, np.arange(len(data.train)) % 3 / 2.0])),
    }
    if task != "classification":
        fixed["class_weight"] = None
    if fixed["loss"] != "cross_entropy":
        space = [{k: v for k, v in row.items() if k != "label_smoothing"} for row in space]
    if draw(st.booleans()):
        shape = {
            "hidden": tuple(draw(st.lists(widths, max_size=2))),
            "residual": draw(st.integers(0, 1)),
            "batch_norm": draw(st.booleans()),
            "activation": draw(activations),
        }
    else:
        makers, n_outputs = draw(st.lists(blocks, max_size=4)), data.n_outputs
        shape = {"layers": lambda dropout=0.2: [*(make(dropout) for make in makers), xbnet.Linear(n_outputs)]}
    return space, data, fixed | shape


@settings(deadline=None, max_examples=examples(8), suppress_health_check=[HealthCheck.too_slow])
@given(sweeps())
def test_any_member_of_any_sweep_equals_its_solo_run(case):
    space, data, fixed = case
    result = xbnet.sweep(space, data, **fixed)
    xbnet.assert_replica_equal(result)


def test_keys_that_only_some_members_have(data):
    own = {
        "init_scale": 3.0,
        "l1": 0.01,
        "l2": 0.1,
        "label_smoothing": 0.2,
        "clip_norm": 0.1,
        "dropout": 0.5,
        "lr": 0.5,
        "weight_seed": 5,
        "order_seed": 6,
    }
    result = xbnet.sweep([{}, *({key: value} for key, value in own.items())], data, epochs=2, workers=1)
    xbnet.assert_replica_equal(result)
    ends = {result.place(i)[0].theta[result.place(i)[1]].tobytes() for i in range(len(result))}
    assert len(ends) == len(result)  # each key has an effect


def test_company_position_and_chunks_change_nothing(data):
    space = {"lr": [0.01, 0.3, 1000.0], "l2": [0, 0.01], "hidden": [(5,), (4, 3)]}
    fixed = {"seeds": 2, "epochs": 6, "patience": 2, "dropout": 0.1}
    whole = xbnet.sweep(space, data, workers=1, **fixed)
    assert {"finished", "stopped", "diverged"} >= set(whole.column("status").tolist())
    assert len(set(whole.column("last_epoch").tolist())) > 1  # some left earlier than others
    assert_same_table(whole, xbnet.sweep(space, data, workers=5, **fixed))
    assert_same_table(whole, xbnet.sweep(space, data, workers=1, memory=60_000, **fixed))
    # the same networks in another order, and fewer of them
    members = whole.members[::-3]
    for member in members:
        alone = run_chunk(whole.program, [m for m in members if m.settings["hidden"] == member.settings["hidden"]])
        outcome, r = whole.place(member.index)
        np.testing.assert_array_equal(alone.theta[alone.members.index(member.index)], outcome.theta[r])


def test_a_replica_that_diverges_is_marked_and_leaves_the_others_alone(data):
    result = xbnet.sweep({"lr": [0.1, 1e30]}, data, epochs=4, loss="mse", activation="relu")
    assert result.column("status").tolist() == ["finished", "diverged"]
    assert np.isnan(result.column("score")[1])
    assert result.best["settings"] == {"lr": 0.1}
    assert result.configurations()[1]["diverged"] == 1
    xbnet.assert_replica_equal(result)


def test_a_stack_in_which_all_diverge_still_gives_a_table(data):
    result = xbnet.sweep({"lr": [1e30, 1e31]}, data, epochs=4, loss="mse", activation="relu")
    assert result.column("status").tolist() == ["diverged", "diverged"]


@pytest.mark.parametrize("fold", [None, 1])
def test_a_member_equals_what_fit_gives_on_the_same_data(data, fold):
    result = xbnet.sweep(
        {"lr": [0.1, 0.5], "l2": [0, 0.01]},
        data,
        seeds=[7, 8],
        folds=None if fold is None else 3,
        scaling="standard",
        hidden=(6,),
        optimizer="momentum",
        momentum=0.8,
        label_smoothing=0.1,
        epochs=5,
        batch_size=16,
        patience=2,
    )
    wanted = {"lr": 0.5, "l2": 0.01, "weight_seed": 8, "fold": fold}
    member = next(row["member"] for row in result.rows() if wanted.items() <= row.items())
    network = xbnet.Network([xbnet.Linear(6, "tanh"), xbnet.Linear(3)], 3, rng=8)
    history = xbnet.fit(
        network,
        xbnet.SoftmaxCrossEntropy(label_smoothing=0.1),
        xbnet.Momentum(lr=0.5, momentum=0.8),
        result.program.pool.of_fold(fold),
        epochs=5,
        batch_size=16,
        l2=0.01,
        patience=2,
    )
    outcome, r = result.place(member)
    np.testing.assert_array_equal(network.theta[0], outcome.theta[r])
    np.testing.assert_array_equal(history["val_loss"], result.history(member)["val_loss"])


def test_assert_replica_equal_can_fail(data):
    result = xbnet.sweep({"lr": [0.1, 0.2]}, data, epochs=2)
    outcome, r = result.place(1)
    outcome.theta[r, 3] = np.nextafter(outcome.theta[r, 3], np.float32(9))
    with pytest.raises(
        AssertionError, match=r"^member 1: weights: 1 of \d+ numbers differ between the stack and alone"
    ):
        xbnet.assert_replica_equal(result)
    xbnet.assert_replica_equal(result, 0)
    xbnet.assert_replica_equal(result, tolerance=1e-6)
    outcome.theta[r, 3] += 0.1
    with pytest.raises(AssertionError, match=r"^member 1: weights: differs by 0\.1 between"):
        xbnet.assert_replica_equal(result, [1], tolerance=1e-6)


@pytest.mark.parametrize("gamma", [0.1, 0.3, 0.7])
@pytest.mark.parametrize("schedule", ["step", "exponential"])
def test_powers_do_not_depend_on_the_size_of_the_stack(data, schedule, gamma):
    """``**`` on an array squares by another rule than `pow`, depending on strides: a bit that differed once."""
    space = {"schedule.gamma": [gamma, gamma, 0.5], "beta1": [0.1, 0.3, 0.7]}
    every = {"schedule.every": 1} if schedule == "step" else {}
    xbnet.assert_replica_equal(xbnet.sweep(space, data, optimizer="adam", schedule=schedule, epochs=4, **every))


@pytest.mark.parametrize("backend", ["cupy", "dpnp"])
def test_other_backends_agree_within_the_stated_tolerance(backend):
    try:
        xbnet.get_backend(backend)
    except xbnet.BackendError as error:
        pytest.skip(str(error))
    data, space = make_data(60, 20), {"lr": [0.01, 0.3], "l2": [0, 1e-3]}
    settings = {"epochs": 3, "patience": 1, "folds": 2, "batch_size": 10, "hidden": (5,)}
    result = xbnet.sweep(space, data, backend=backend, **settings)
    xbnet.assert_replica_equal(result, [0, 5])
    on_host = xbnet.sweep(space, data, **settings)
    np.testing.assert_allclose(result.column("val_loss"), on_host.column("val_loss"), rtol=1e-3)


def test_a_penalty_of_others_turns_infinity_into_nan_and_nothing_else(data):
    """0 * inf is NaN: in the last epoch of a network that diverged, and only there."""
    space = [{"l2": 0, "lr": 1e25}, {"l2": 0.001, "lr": 0.001}]
    result = xbnet.sweep(space, data, loss="mse", hidden=(), batch_size=2, epochs=3)
    assert result.column("status").tolist() == ["diverged", "finished"]
    xbnet.assert_replica_equal(result)


def test_a_penalty_of_others_leaves_the_cost_of_huge_weights_alone(data):
    """Their squares overflow, and 0 times infinity is NaN: in the cost that was reported once."""
    space = [{"l2": 0, "l1": 0}, {"l2": 0.001, "l1": 0}, {"l2": 0, "l1": 0.001}]
    result = xbnet.sweep(space, data, init_scale=1e22, lr=0, epochs=2)
    assert np.isfinite(result.history(0)["train_cost"]).all()
    xbnet.assert_replica_equal(result)


def test_no_such_member_is_one_line():
    result = xbnet.sweep({"lr": [0.1]}, make_data(), epochs=1)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: expected a member from 0 to 0, got 3$"):
        xbnet.assert_replica_equal(result, [3])
    with pytest.raises(xbnet.ConfigError, match=r"^assert_replica_equal: expected the result of a sweep, got int$"):
        xbnet.assert_replica_equal(3)
    xbnet.assert_replica_equal(result, np.int64(0))
