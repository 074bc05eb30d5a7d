import numpy as np
import pytest
from scipy import stats

import xbnet
from tests.support.errors import refuses
from xbnet.sweeps.distributions import Integers, LogIntegers, LogUniform, Uniform, as_distribution
from xbnet.sweeps.space import complete, configurations, shown


def rng():
    return np.random.default_rng(0)


def test_a_grid_is_every_combination_with_the_last_key_fastest():
    rows = configurations({"lr": [0.1, 1], "l2": (0, 1e-3), "epochs": 3}, None, rng())
    assert [(row["lr"], row["l2"], row["epochs"]) for row in rows] == [
        (0.1, 0, 3),
        (0.1, 1e-3, 3),
        (1, 0, 3),
        (1, 1e-3, 3),
    ]


def test_a_list_of_configurations_is_taken_as_it_is():
    rows = configurations([{"lr": np.float32(0.5)}, {"hidden": [3, 2]}], None, rng())
    assert rows == [{"lr": 0.5}, {"hidden": (3, 2)}]
    assert type(rows[0]["lr"]) is float


def test_draws_lie_in_their_ranges_and_repeat():
    space = {
        "lr": "loguniform:1e-4,1",
        "dropout": Uniform(0, 0.5),
        "width": Integers(2, 4),
        "depth": LogIntegers(1, 9),
        "l2": stats.loguniform(1e-6, 1e-2),
        "activation": ["tanh", "relu"],
    }
    rows = configurations(space, 200, rng())
    lr = np.log10([row["lr"] for row in rows])
    assert -4 <= lr.min() < -3.8
    assert -0.2 < lr.max() < 0
    assert abs(np.median(lr) + 2) < 0.5
    assert {row["width"] for row in rows} == {2, 3, 4}
    assert {row["depth"] for row in rows} >= {1, 9}
    assert max(row["depth"] for row in rows) == 9
    assert {row["activation"] for row in rows} == {"tanh", "relu"}
    assert all(type(row["l2"]) is float and 1e-6 <= row["l2"] <= 1e-2 for row in rows)
    assert rows == configurations(space, 200, rng())


def test_width_and_depth_become_hidden():
    assert complete({"width": 4, "depth": 3}, {}, None)["hidden"] == (4, 4, 4)
    assert complete({"hidden": 5}, {}, None)["hidden"] == (5,)
    assert complete({"hidden": "none"}, {}, None)["hidden"] == ()


def test_a_row_of_a_list_may_differ_from_what_all_share(data):
    result = xbnet.sweep([{"lr": 0.1}, {"lr": 0.2, "epochs": 2}], data, epochs=1)
    assert result.column("last_epoch").tolist() == [1, 2]


def test_a_loss_that_does_not_suit_the_targets_is_one_line():
    x = np.arange(40.0).reshape(20, 2)
    with pytest.raises(xbnet.ConfigError, match=r"^mse: can't be used for multilabel; it serves regression, classif"):
        xbnet.sweep({"lr": [1]}, xbnet.Dataset("many", xbnet.Part(x, np.eye(2, dtype=int)[[0, 1] * 10])), loss="mse")


def test_a_function_of_layers_brings_its_own_keys():
    settings = complete({"bottleneck": 3}, {"lr": 0.1}, ["bottleneck"])
    assert settings["bottleneck"] == 3
    assert "hidden" not in settings


def test_a_key_of_layers_that_is_a_column_of_the_table_is_refused():
    x = np.arange(40.0).reshape(20, 2)
    line = "sweep: layers takes status, which is a column of the table; give it another name"
    with refuses(xbnet.ConfigError, line):
        xbnet.sweep({"status": [1]}, (x, [0, 1] * 10), layers=lambda status: [xbnet.Linear(status), xbnet.Linear(2)])


BAD = [
    ({"lr": []}, {}, "sweep: expected at least one value of lr, got none"),
    ([], {}, "sweep: expected at least one configuration, got an empty list"),
    ("lr", {}, "sweep: expected a space {key: [values]} or a list of such rows, got 'lr'"),
    ([3], {}, "sweep: expected configurations like {'lr': 0.1}, got 3"),
    ({"lr": ["a"]}, {}, "sweep: expected lr to be a number, got 'a'"),
    ({"lr": [float("nan")]}, {}, "sweep: expected lr to be a number, got nan"),
    ({"lr": [-1.0]}, {}, "sgd: expected lr in [0, inf), got -1.0"),
    ({"momentum": [0.9]}, {}, None),
    ({"dropout": [1.0]}, {}, "sweep: expected dropout in [0, 1), got 1.0"),
    ({"clip_norm": [0]}, {}, "sweep: expected clip_norm in (0, inf), got 0"),
    ({"l2": [True]}, {}, "sweep: expected l2 in [0, inf), got True"),
    ({"epochs": [2.5]}, {}, "sweep: expected epochs to be a whole number >= 1, got 2.5"),
    ({"epochs": [None]}, {}, "sweep: expected epochs to be a whole number >= 1, got None"),
    ({"hidden": [[10, 0]]}, {}, "sweep: expected hidden to be a whole number >= 1, got 0"),
    ({"batch_norm": ["yes"]}, {}, "sweep: expected batch_norm to be true or false, got 'yes'"),
    ({"sharing": ["all"]}, {}, "sweep: unknown sharing 'all'; known are none, tabm, tabm-mini"),
    (
        {"embed_numbers": ["piecewise_linear"]},
        {},
        "sweep: expected embed_numbers as none or periodic, got 'piecewise_linear'; its bins are of one training part, "
        "for xbnet train",
    ),
    ({"embed_numbers": ["fourier"]}, {}, "sweep: unknown embed_numbers 'fourier'; known are none, periodic"),
    ({"members": [2]}, {}, "sweep: members=2 need sharing=tabm or tabm-mini; for networks of their own, give seeds"),
    (
        {"sharing": ["tabm"], "residual": [1]},
        {},
        "sweep: sharing=tabm is of plain hidden layers, got residual or batch_norm too",
    ),
    ({"seed": [-1]}, {}, "sweep: expected seed to be a whole number >= 0, got -1"),
    ({"seed": [1], "order_seed": [1]}, {}, "sweep: give either seed, or weight_seed and order_seed, got both"),
    ({"width": [3]}, {"hidden": (3,)}, "sweep: give either hidden, or width and depth, got both"),
    (
        {"lr": "loguniform:1e-4,1"},
        {},
        "sweep: lr is a distribution; give the number of configurations to draw: draws=N",
    ),
    ({"lr": "loguniform:1"}, {}, "loguniform: expected loguniform:LOW,HIGH with two numbers, got 'loguniform:1'"),
    ({"lr": "loguniform:0,1"}, {}, "loguniform: expected numbers 0 < low < high, got low=0.0, high=1.0"),
    ({"lr": [1], "draws": 3}, {"draws": 0}, "sweep: expected draws to be a whole number >= 1, got 0"),
    ({"lr": ["loguniorm:1", *[0.1] * 99]}, {"draws": 1}, "sweep: expected lr to be a number, got 'loguniorm:1'"),
    ([{"lr": 1}], {"draws": 2}, "sweep: draws needs a space {key: distribution}, got a list of configurations"),
    ({"lr": [1]}, {"seeds": 0}, "sweep: expected seeds to be a count >= 1 or a list of seeds, got 0"),
    ({"lr": [1]}, {"seeds": []}, "sweep: expected at least one seed, got none"),
    ({"lr": [1]}, {"seeds": [1.5]}, "sweep: expected seeds to be a whole number >= 0, got 1.5"),
    ({"seed": [1, 2]}, {"seeds": 2}, "sweep: the space has seeds of its own; leave out seeds=[0, 1]"),
    ({"lr": [1]}, {"resume": True}, "sweep: resume goes on with the folder of an earlier sweep; say which: out=FOLDER"),
    ({"lr": [1]}, {"memory": "much"}, None),
    ({"lr": [1]}, {"workers": 0}, "sweep: expected workers to be a whole number >= 1, got 0"),
    ({"lr": [1]}, {"workers": -1}, "sweep: expected workers to be a whole number >= 1, got -1"),
    ({"schedule.then": [1]}, {"schedule": "warmup"}, None),
    ({"lr": [1]}, {"layers": 3}, "sweep: expected layers to be a function that returns a list of layers, got 3"),
    ({"label_smoothing": [0.1]}, {"loss": "mse"}, "sweep: label_smoothing needs the loss 'cross_entropy', got 'mse'"),
    ({"batch_size": [500]}, {}, None),
    ({"lr": [1]}, {"lr": 2}, "sweep: lr is given twice, in the space and as lr=; leave one of them out"),
    ({"lr": [1], "l2": 0}, {"l2": 0}, "sweep: l2 is given twice, in the space and as l2=; leave one of them out"),
]


@pytest.mark.parametrize(("space", "settings", "line"), BAD, ids=[str(i) for i in range(len(BAD))])
def test_bad_input_is_one_line(data, space, settings, line):
    with pytest.raises(xbnet.XbnetError) as caught:
        xbnet.sweep(space, data, **settings)
    assert "\n" not in str(caught.value)
    if line is not None:
        assert str(caught.value) == line


def test_a_misspelt_key_names_the_nearest(data):
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: unknown key 'learning_rat'; (did you mean .*\? )?known are "):
        xbnet.sweep({"learning_rat": [1]}, data)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: unknown key 'droput'; did you mean 'dropout'\? known are "):
        xbnet.sweep({"lr": [1]}, data, droput=0.1)
    with pytest.raises(xbnet.ConfigError, match=r"^sweep: schedule 'step': unknown key 'schedule.rate'; .*known are"):
        xbnet.sweep({"schedule.rate": [1]}, data, schedule="step")


def test_a_distribution_of_scipy_and_text_are_told_from_values():
    assert isinstance(as_distribution("loguniform:1,2"), LogUniform)
    assert as_distribution("tanh") is None
    assert as_distribution(0.1) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.000123456, "0.0001235"),
        (0.1, "0.1"),
        (3, "3"),
        (True, "True"),
        ((10, 7), "10-7"),
        ((20,), "20"),
        ((), "none"),
        (None, "none"),
        ("tanh", "tanh"),
        (xbnet.Activation("own", print, print), "own"),
    ],
)
def test_values_as_people_read_them(value, text):
    assert shown(value) == text
