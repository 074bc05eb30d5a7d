"""Members that share weights: what each would be alone, what they answer together, and a step of all."""

import numpy as np
import pytest

import xbnet
from xbnet import Adam, Linear, MemberOutputs, Members, Network, SharedLinear, evaluate, fit, sharing_mlp
from xbnet.estimators.regressor import LOSSES
from xbnet.nn.outputs import sigmoid, softmax

K = 3
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((40, 4)), np.r_[:3, RNG.integers(0, 3, 37)]


def shared(sharing="tabm", n_outputs=3, **more):
    layers = sharing_mlp([5, 4], n_outputs, "tanh", members=K, sharing=sharing)
    network = Network(layers, 4, rng=more.pop("rng", 0), dtype="float64", **more)
    network.theta[...] += 0.3 * np.random.default_rng(5).standard_normal(
        network.theta.shape[1]
    )  # no vector is all ones
    return network


def alone(network, j):
    """Member j of a network of one replica, as a network of plain layers."""
    twin = Network([Linear(5, "tanh"), Linear(4, "tanh"), Linear(network.n_outputs)], 4, dtype="float64", rng=0)
    p = {name: block[0] for name, block in network.parameters.items()}
    scale = p["0.r"].reshape(K, 4)[j]
    for k, (layer, width) in enumerate(zip(twin.layers[:2], (5, 4), strict=True), start=1):
        q = p[f"{k}.q"].reshape(K, width)[j] if f"{k}.q" in p else 1.0
        scale = scale if k == 1 else p[f"{k}.r"].reshape(K, -1)[j] if f"{k}.r" in p else np.ones(len(p[f"{k}.W"]))
        layer.W[0] = scale[:, None] * p[f"{k}.W"] * q
        layer.b[0] = p[f"{k}.b"].reshape(-1, width)[j if f"{k}.q" in p else 0]
    twin.layers[2].W[0] = p["3.W"].reshape(K, 4, -1)[j]
    twin.layers[2].b[0] = p["3.b"].reshape(K, -1)[j]
    return twin


@pytest.mark.parametrize("sharing", ["tabm", "tabm-mini"])
def test_the_answer_is_the_mean_of_what_the_members_say_alone(sharing):
    network = shared(sharing)
    probabilities = np.mean([alone(network, j).predict_proba(X) for j in range(K)], axis=0)
    np.testing.assert_allclose(network.predict_proba(X), probabilities, rtol=1e-12)
    np.testing.assert_allclose(softmax(np.log(probabilities)), probabilities)
    for link in ("multilabel", "sigmoid"):
        network.link = link
        logits = np.array([alone(network, j).forward(X[None])[0] for j in range(K)])
        np.testing.assert_allclose(sigmoid(network.forward(X[None])[0]), sigmoid(logits).mean(axis=0), rtol=1e-12)
    outputs = np.array([alone(network, j).forward(X[None])[0] for j in range(K)])
    for link, mean in (("identity", outputs.mean(axis=0)), ("exp", np.exp(outputs).mean(axis=0))):
        network.link = link
        np.testing.assert_allclose(network.predict_proba(X), mean, rtol=1e-12, atol=1e-14)
    network.parameters["3.b"][...] += 1e4  # whose exponentials are no numbers
    np.testing.assert_allclose(network.forward(X[None])[0] - 1e4, np.log(mean), rtol=1e-9)


def test_the_loss_is_the_mean_of_the_members_losses_and_that_of_the_mean_when_evaluated():
    network, w = shared(), np.linspace(0.5, 2, 40)
    loss = xbnet.SoftmaxCrossEntropy(class_weight=[1, 2, 0.5]).bind(network)
    found = loss(network.forward(X[None], training=True), Y[None], network.output_gradient, w[None])
    each = [evaluate(alone(network, j), loss, X, Y, sample_weight=w)["loss"] for j in range(K)]
    np.testing.assert_allclose(loss.summed[0, 0] / loss.summed[0, 2:], np.mean(each), rtol=1e-12)
    assert found.shape == (1, 40 * K)
    mean = np.mean([alone(network, j).predict_proba(X) for j in range(K)], axis=0)
    np.testing.assert_allclose(evaluate(network, "cross_entropy", X, Y)["loss"], -np.log(mean[range(40), Y]).mean())


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse", "poisson"])
def test_gradients(loss):
    y = Y[:5] if "cross" in loss else RNG.poisson(2, (5, 3)).astype(float)
    how = LOSSES[loss]() if loss == "poisson" else loss
    xbnet.gradient_test(shared(replicas=2), how, X[:5], y, sample_weight=np.linspace(0.5, 2, 5)).raise_if_failed()


@pytest.mark.parametrize("execution", ["eager", "replay"])
def test_a_stack_ends_in_the_bits_of_each_alone(execution):
    """Also the short last batch."""

    def trained(replicas, seeds):
        network = shared(replicas=replicas, rng=seeds)
        run = fit(network, "cross_entropy", Adam(0.02), (X, Y), epochs=3, batch_size=16, rng=seeds, execution=execution)
        assert np.isfinite(run["train_loss"]).all()
        return network

    stack, seeds = trained(2, 0), xbnet.replica_seeds(0, 2)
    for r in range(2):
        np.testing.assert_array_equal(trained(1, [seeds[r]]).theta[0], stack.theta[r])
    assert not np.array_equal(stack.theta, shared(replicas=2).theta)


@pytest.mark.parametrize(
    ("loss", "sharing"),
    [
        *((loss, sharing) for loss in ("cross_entropy", "binary_cross_entropy") for sharing in ("tabm", "tabm-mini")),
        ("poisson", "tabm"),
    ],
)
def test_the_compiled_machine_ends_where_steps_one_by_one_do(loss, sharing):
    pytest.importorskip("numba")
    found, (how, y) = [], (LOSSES[loss](), np.eye(3)[Y]) if loss == "poisson" else (loss, Y)
    for execution in ("eager", "compiled"):
        network = shared(sharing, replicas=2)
        w = np.linspace(0.5, 2, 40)
        fit(network, how, "adam", (X, y), epochs=2, batch_size=16, sample_weight=w, execution=execution, rng=0)
        found.append(network.theta)
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Members(2, start="twos"), "expected start signs, normal or ones, got 'twos'"),
        (lambda: Network([SharedLinear(2, members=3)], 4), "expected inputs of 3 members side by side, got 4"),
        (lambda: Network([MemberOutputs(2, members=2), Linear(2)], 4), "MemberOutputs as the last layer"),
        (lambda: sharing_mlp([], 2, members=2), "at least one hidden layer"),
        (lambda: sharing_mlp([2], 2, members=2, sharing="all"), "expected tabm or tabm-mini, got 'all'"),
    ],
)
def test_what_can_not_be(make, words):
    with pytest.raises(xbnet.ConfigError, match=words):
        make()
