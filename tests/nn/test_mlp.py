import numpy as np
import pytest

from tests.support.errors import refuses
from xbnet import BatchNorm, ConfigError, Dropout, LayerNorm, Linear, Network, Residual, mlp


def shown(layers):
    return [repr(layer) for layer in layers]


def test_a_width_is_a_hidden_layer():
    assert shown(mlp([10, 7], 3)) == shown([Linear(10, "tanh"), Linear(7, "tanh"), Linear(3)])
    assert shown(mlp(10, 3, "relu")) == shown(mlp(np.array([10]), 3, "relu")) == shown([Linear(10, "relu"), Linear(3)])
    assert shown(mlp([], 3)) == shown([Linear(3)])


def test_normalization_and_dropout_stand_behind_each_hidden_layer_and_block():
    found = mlp([4], 3, "relu", residual=1, batch_norm=True, dropout=0.5, initializer="he")
    assert shown(found) == shown(
        [
            Linear(4, "relu", initializer="he"), BatchNorm(), Dropout(0.5),
            Residual("relu", initializer="he"), BatchNorm(), Dropout(0.5),
            Linear(3, initializer="he"),
        ]
    )  # fmt: skip


def test_a_layer_among_the_widths_is_taken_as_it_is():
    own = LayerNorm()
    found = mlp([4, own], 3, dropout=0.5)
    assert found[2] is own
    assert shown(found) == shown([Linear(4, "tanh"), Dropout(0.5), own, Linear(3)])


def test_rates_per_replica_make_layers_even_where_all_are_zero():
    assert shown(mlp([4], 3, dropout=[0.0, 0.0])) == shown([Linear(4, "tanh"), Dropout([0.0, 0.0]), Linear(3)])
    stack = Network(mlp([4], 3, dropout=[0.0, 0.5]), 2, replicas=2, rng=0)
    assert np.isfinite(stack.forward(np.ones((1, 5, 2), "float32"), training=True)).all()


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: mlp("10,7", 3), "mlp: expected hidden to be widths like [10, 7], got '10,7'"),
        (lambda: mlp(2.0, 3), "mlp: expected hidden to be widths like [10, 7], got 2.0"),
        (lambda: mlp([0], 3), "Linear: expected n_outputs to be a whole number >= 1, got 0"),
        (lambda: mlp([4], None), "Linear: expected n_outputs to be a whole number >= 1, got None"),
        (lambda: mlp([4], 3, residual=-1), "mlp: expected residual to be a whole number >= 0, got -1"),
        (lambda: mlp([4], 3, dropout=1), "Dropout: expected a rate in [0, 1), or one per replica, got 1"),
    ],
)
def test_bad_input_is_one_line(make, line):
    with refuses(ConfigError, line):
        make()
