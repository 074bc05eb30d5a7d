"""What `fit` refuses."""

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from tests.support.runs import TARGETS, X, Y, train
from xbnet import SGD, ConfigError, DataError, Linear, Network, ShapeError

WHOLE = "to be a whole number >= 1, got"
MONITORS = "fit: expected monitor to be one of train_loss, train_cost, train_accuracy, got "
WEIGHTS = "fit: expected sample_weight >= 0 with at least one > 0"


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"epochs": 0}, f"fit: expected epochs {WHOLE} 0"),
        ({"epochs": None}, f"fit: expected epochs {WHOLE} None"),
        ({"batch_size": 0}, f"fit: expected batch_size {WHOLE} 0"),
        ({"batch_size": True}, f"fit: expected batch_size {WHOLE} True"),
        (
            {"batch_size": 21},
            "fit: expected batch_size <= 20, the number of training samples, got 21; None takes them all",
        ),
        ({"patience": 0}, f"fit: expected patience {WHOLE} 0"),
        ({"clip_norm": 0}, "fit: expected clip_norm > 0, got 0; None does not clip"),
        ({"clip_norm": "a"}, "clip_norm: expected a number or one per replica, got 'a'"),
        ({"clip_norm": [1, 2]}, "clip_norm: expected a number or one per replica (R=1), got shape (2,)"),
        ({"monitor": "val_loss"}, f"{MONITORS}'val_loss'"),
        ({"monitor": "accuracy"}, f"{MONITORS}'accuracy'"),
        ({"sample_weight": -np.ones(20)}, WEIGHTS),
        ({"sample_weight": np.zeros(20)}, WEIGHTS),
        ({"sample_weight": np.full(20, np.inf)}, WEIGHTS),
        ({"l2": -1}, "penalty: expected l2 >= 0, got -1"),
        ({"l1": [0.1, 0.2]}, "l1: expected a number or one per replica (R=1), got shape (2,)"),
        ({"rng": "a"}, "rng: expected an integer >= 0, a SeedSequence, a Generator or None, got 'a'"),
        ({"optimizer": SGD([0.1, 0.2])}, "sgd.lr: expected a number or one per replica (R=1), got shape (2,)"),
        (
            {"schedule": xbnet.optim.schedules.Step([1, 2])},
            "Step.every: expected a number or one per replica (R=1), got shape (2,)",
        ),
        ({"net": "mlp"}, "fit: expected a Network, got str"),
        (
            {"net": Network([Linear(5)], 4)},
            "fit: expected a network with 3 outputs for arrays (classification), got 5; "
            "set the last layer to Linear(3)",
        ),
        (
            {"data": TARGETS},
            "cross_entropy: can't be used for regression; it serves classification; targets of floats are a regression: take mse, or y.astype(int) where they are labels",
        ),
        (
            {"loss": "mse", "data": TARGETS, "monitor": "train_accuracy"},
            "fit: expected monitor to be one of train_loss, train_cost, train_r2, got 'train_accuracy'",
        ),
        (
            {"loss": xbnet.MeanSquaredError(class_weight=[1, 1, 1]), "data": TARGETS},
            "mse: class_weight needs integer labels, got regression targets; use sample_weight",
        ),
        (  # labels 0 and 2 are two classes
            {"data": (X, np.where(Y == 1, 0, Y))},
            "fit: expected a network with 2 outputs for arrays (classification), got 3; set the last layer to Linear(2)",
        ),
    ],
)
def test_bad_settings(settings, line):
    with refuses(ConfigError, line):
        train(**settings)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (7, "fit: expected data to be a Dataset or (x, y), got int; see load_dataset"),
        (X, "fit: expected data to be a Dataset or (x, y), got ndarray; see load_dataset"),
        ((X[:0], Y[:0]), "arrays: training x expected at least one sample, got (0, 4)"),
        (
            (np.where(np.arange(80).reshape(20, 4) == 6, np.nan, X), Y),
            "arrays: training x expected finite values, got nan at row 1, column 2 (counted from 0); "
            "remove or fill such samples",
        ),
    ],
    ids=["a number", "x alone", "empty", "nan"],
)
def test_bad_data(data, line):
    with refuses(DataError, line):
        train(data=data)


def test_bad_shapes():
    with refuses(ShapeError, "fit: expected x of arrays (N, I=4), got (20, 2)"):
        train(data=(X[:, :2], Y))
    with refuses(ShapeError, "fit: expected sample_weight (N=20), got (5,)"):
        train(sample_weight=np.ones(5))


def test_samples_that_stand_in_columns_or_are_complex():
    x, y = np.ones((3, 20)), np.arange(20) % 2
    line = "arrays: training x expected (N=20, I) to match y, got (3, 20); samples are rows: transpose x (x.T)"
    with refuses(DataError, line):
        xbnet.fit(Network([Linear(2)], 3), "cross_entropy", SGD(0.1), (x, y))
    line = "make real and imaginary parts inputs of their own: numpy.hstack([x.real, x.imag])"
    with refuses(DataError, f"arrays: training x expected numbers, got dtype complex128; {line}"):
        xbnet.fit(Network([Linear(2)], 3), "cross_entropy", SGD(0.1), (x.T * 1j, y))
