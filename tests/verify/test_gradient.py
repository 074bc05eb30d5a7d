"""`gradient_test` and `jacobian_test` of correct code."""

import copy
import dataclasses

import numpy as np
import pytest

import xbnet
from xbnet import BatchNorm, Dropout, LayerNorm, Linear, Residual
from xbnet.nn.activations import ACTIVATIONS
from xbnet.nn.layers import LAYERS
from xbnet.nn.losses import LOSSES
from xbnet.verify import catalogue

CASES = {case.name: case for case in catalogue.catalogue()}


def is_run(name):
    """Of the twenty depths some: what is right in one, two, three and twenty layers is right in between."""
    return not name.startswith("depth/") or int(name.split()[-1]) in (1, 2, 3, 7, 20)


@pytest.mark.parametrize("name", [*filter(is_run, CASES)])
def test_everything_passes_with_orders_1_and_2(name):
    result = CASES[name].run()
    result.raise_if_failed()
    for orders in result.orders.values():
        seen = ~np.isnan(orders)
        assert np.all(np.abs(orders - [1, 2])[seen] <= 0.05), str(result)
    assert all(j.note in ("", "linear", "flat") for curve in result.curves for j in curve.judgements)


def test_catalogue_has_everything_that_is_public():
    tested = {type(example).__name__ for kind in LAYERS.values() for example in kind.examples().values()}
    assert tested == set(LAYERS)
    assert {name.split("/")[1] for name in CASES if name.startswith("activations/")} >= set(ACTIVATIONS)
    assert {name.split("/")[1].split()[0] for name in CASES if name.startswith("losses/")} == set(LOSSES)
    assert {f"depth/{kind} {n}" for kind in ("standard", "residual") for n in range(1, 21)} <= set(CASES)


def everything(dtype="float32", replicas=3):
    """A network of every kind of layer."""
    layers = [Linear(5, "gelu"), BatchNorm(), Dropout([0.1, 0.3, 0.5]), Residual("relu", begin="relu")]
    return xbnet.Network([*layers, LayerNorm(), Linear(3)], 4, replicas=replicas, dtype=dtype, rng=5)


def batch(B=7):
    rng = np.random.default_rng(1)
    return rng.standard_normal((B, 4)), rng.integers(0, 3, B)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_network_is_left_as_it_is(dtype):
    network = everything(dtype)
    x, y = batch()
    xbnet.fit(network, "cross_entropy", "sgd", (x, y), epochs=1, batch_size=4, rng=0)
    network.forward(np.broadcast_to(network.backend.asarray(x, network.dtype), (3, *x.shape)), training=True)
    kept = [np.array(a) for a in (network.theta, network.grad, network.state)]
    streams = copy.deepcopy([s.bit_generator.state for s in network.streams])
    buffers = {(k, n): getattr(la, n).copy() for k, la in enumerate(network.layers) for n in la.buffers()}
    xbnet.gradient_test(network, "cross_entropy", x, y, l1=0.01).raise_if_failed()
    xbnet.jacobian_test(network, x).raise_if_failed()
    xbnet.jacobian_test(network.layers[3], np.ones((2, 5))).raise_if_failed()
    xbnet.compare_gradients(network, "cross_entropy", x, y).raise_if_failed()
    xbnet.jacobian(network, x)
    for before, now in zip(kept, (network.theta, network.grad, network.state), strict=True):
        np.testing.assert_array_equal(before, now)
    assert [s.bit_generator.state for s in network.streams] == streams
    for (k, name), before in buffers.items():
        np.testing.assert_array_equal(getattr(network.layers[k], name), before)
    assert not any(layer.frozen for layer in network.layers)


def test_same_seed_same_result_and_other_seed_other_direction():
    x, y = batch()
    first, again, other = (xbnet.gradient_test(everything(), "mse", x, y, rng=seed) for seed in (3, 3, 4))
    for a, b, c in zip(first.curves, again.curves, other.curves, strict=True):
        np.testing.assert_array_equal(a.first, b.first)
        np.testing.assert_array_equal(a.direction, b.direction)
        assert not np.array_equal(a.direction, c.direction)
        np.testing.assert_allclose(np.linalg.norm(a.direction, axis=1), 1)
    assert (first.seed, other.seed) == (3, 4)
    assert "seed 3" in str(first)


def test_every_block_is_tested_for_every_replica():
    network = everything()
    x, y = batch()
    result = xbnet.gradient_test(network, "cross_entropy", x, y)
    names = [curve.block for curve in result.curves]
    assert sorted(names[:-2]) == sorted(network.parameters)
    assert [n.split(".")[0] for n in names[:-2]] == sorted(n.split(".")[0] for n in names[:-2])
    assert names[-2:] == ["theta", "x"]
    assert all(curve.first.shape == (3, 32) for curve in result.curves)
    assert {row.block for row in result.precision} == set(names)


def test_replicas_with_batches_of_their_own():
    rng = np.random.default_rng(2)
    x, y, w = rng.standard_normal((3, 6, 4)), rng.integers(0, 3, (3, 6)), rng.uniform(0.1, 2, (3, 6))
    result = xbnet.gradient_test(everything(), "cross_entropy", x, y, sample_weight=w, l2=[0.0, 0.1, 0.2])
    result.raise_if_failed()


def test_stack_of_one_needs_no_stack_checks():
    x, y = batch()
    network = xbnet.Network([Linear(3)], 4, rng=0)
    names = {check.name for check in xbnet.gradient_test(network, "mse", x, y).checks}
    assert not names & {"no path between replicas", "permuting replicas permutes results"}


def test_own_loss_and_layer_and_activation():
    from xbnet.nn.initializers import ones

    class Scale(xbnet.Layer):
        def parameters(self):
            return (xbnet.ParameterSpec("gain", (1, self.n_inputs), ones),)

        def forward(self, x, training):
            self.x = x
            return x * self.gain

        def backward(self, dy, dx):
            self.dgain[...] = (dy * self.x).sum(axis=1, keepdims=True)
            if dx is not None:
                dx[...] = dy * self.gain

    def bent(xp, z, out, work):
        out[...] = np.abs(z - 1)

    def bent_backward(xp, dy, z, y, work):
        dy *= np.sign(z - 1)

    x, y = batch()
    corner = xbnet.Activation("corner", bent, bent_backward, kinks=(1.0,))
    network = xbnet.Network([Scale(), Linear(6, corner), Scale(), Linear(3)], 4, replicas=2, rng=0)
    xbnet.gradient_test(network, "cross_entropy", x, y).raise_if_failed()
    xbnet.jacobian_test(Scale(), x).raise_if_failed()


def test_jacobian_test_takes_the_layers_own_parameters():
    network = everything("float64")
    result = xbnet.jacobian_test(network.layers[3], np.random.default_rng(0).standard_normal((4, 5)), jitter=0)
    assert "R=3, float64" in result.title
    result.raise_if_failed()


def test_results_are_frozen():
    x, y = batch()
    result = xbnet.gradient_test(everything(), "mse", x, y)
    for thing in (result, result.curves[0], result.checks[0], result.placement, result.precision[0]):
        with pytest.raises(dataclasses.FrozenInstanceError):
            thing.title = 1


def test_wrong_only_in_float32_is_caught():
    class Careless(Linear):
        def backward(self, dy, dx):
            super().backward(dy, dx)
            if self.dtype == np.float32:
                self.dW *= 1.01

    x, y = batch()
    result = xbnet.gradient_test(xbnet.Network([Careless(3)], 4, dtype="float32", rng=0), "mse", x, y)
    assert result.failures()[0].startswith("0.W: float32 gradient off by ")
    assert xbnet.gradient_test(xbnet.Network([Careless(3)], 4, dtype="float64", rng=0), "mse", x, y).passed
