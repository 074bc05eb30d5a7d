"""Forward, loss, gradients and five optimizer steps, in float64, against PyTorch's autograd."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import xbnet  # noqa: E402
from tests.support import cases, oracle  # noqa: E402
from xbnet.nn import activations, layers  # noqa: E402

TOLERANCE = {"rtol": 1e-10, "atol": 1e-10}
R = 2


def close(mine, theirs, what):
    np.testing.assert_allclose(mine, theirs.detach().numpy(), err_msg=what, **TOLERANCE)


def batches(net, task, steps, leading=R):
    return [cases.device_samples(net, task, B=9 - s, leading=leading, seed=s) for s in range(steps)]


def train_both(net, loss, task, optimizer, steps, leading=R, sample_weight=None):
    """Take the same steps with xbnet and with torch, comparing all that can be seen on the way."""
    bound, mine = loss.bind(net, task), optimizer.bind(net)
    twins = [oracle.Twin(net, r) for r in range(net.replicas)]
    theirs = [oracle.optimizer(mine, twin) for twin in twins]
    for x, y in batches(net, task, steps, leading):
        w = None if sample_weight is None else sample_weight[:, : x.shape[1]]
        dx = np.full((net.replicas, *x.shape[1:]), np.nan)
        logits = net.forward(x, training=True)
        values = bound(logits, y, net.output_gradient, w).copy()
        logits = logits.copy()
        net.backward(dx=dx)
        for r, (twin, rule) in enumerate(zip(twins, theirs, strict=True)):
            s = r if leading > 1 else 0
            x_r = torch.tensor(x[s]).requires_grad_()
            logits_r = twin(x_r)
            values_r, w_r = oracle.loss_values(loss, task, logits_r, torch.tensor(y[s]))
            if w is not None:
                w_r = w_r * torch.tensor(w[0])
            rule.zero_grad()
            ((values_r * w_r).sum() / w_r.sum()).backward()
            close(logits[r], logits_r, "logits")
            close(values[r], values_r, "loss")
            close(dx[r], x_r.grad, "dx")
            for name, gradient in net.gradients.items():
                close(gradient[r], twin.p[name].grad, f"d{name}")
            rule.step()
        mine.step()
        for r, twin in enumerate(twins):
            for name, block in net.parameters.items():
                close(block[r], twin.p[name], name)
            for name, block in net.statistics.items():
                close(block[r, 0], twin.state[name][0], name)
    for r, twin in enumerate(twins):
        close(net.forward(x)[r], twin(torch.tensor(x[r if leading > 1 else 0]), training=False), "not training")


@pytest.mark.parametrize("leading", [1, R], ids=["shared", "own"])
@pytest.mark.parametrize("row", cases.LAYERS)
def test_layers(row, leading):
    net = cases.network(row, replicas=R)
    train_both(net, xbnet.SoftmaxCrossEntropy(), "classification", xbnet.SGD(0.3), 3, leading)


@pytest.mark.parametrize("row", cases.LOSSES)
def test_losses(row):
    net = cases.network(replicas=R)
    train_both(net, *cases.LOSSES[row](), xbnet.SGD(0.3), 3)


@pytest.mark.parametrize("row", cases.LOSSES)
def test_losses_with_sample_weights(row):
    net = cases.network(replicas=R)
    weights = np.linspace(0, 2, 9)[None]
    train_both(net, *cases.LOSSES[row](), xbnet.SGD(0.3), 2, sample_weight=weights)


@pytest.mark.parametrize("row", cases.OPTIMIZERS)
def test_optimizers(row):
    net = cases.network("deep", replicas=R)
    train_both(net, xbnet.SoftmaxCrossEntropy(), "classification", cases.OPTIMIZERS[row](), 5)


def test_the_oracle_knows_every_layer_and_activation():
    assert set(oracle.LAYERS) == set(layers.LAYERS) - {"MemberOutputs"}  # its loss takes several answers for a row
    assert set(oracle.ACTIVATIONS) == set(activations.ACTIVATIONS)


def test_label_smoothing_with_class_weights_weighs_whole_examples():
    # torch spreads class weights over the smoothed target; here they are weights of examples, as for every loss.
    net = cases.network(replicas=R)
    loss = xbnet.SoftmaxCrossEntropy(class_weight=[1, 3, 0.5], label_smoothing=0.2)
    train_both(net, loss, "classification", xbnet.SGD(0.3), 2)
