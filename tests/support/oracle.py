"""PyTorch's float64 answer for a network of xbnet: the same layers, losses and optimizers, by another's hand."""

from itertools import pairwise

import numpy as np
import pytest

from xbnet.optim import optimizers

torch = pytest.importorskip("torch")
F = torch.nn.functional

ACTIVATIONS = {
    "identity": lambda z: z,
    "relu": F.relu,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "gelu": lambda z: F.gelu(z, approximate="tanh"),
    "silu": F.silu,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softplus": lambda z: F.softplus(z, threshold=100),
    "selu": F.selu,
    "mish": F.mish,
}


def activate(activation, z):
    return z if activation is None else ACTIVATIONS[activation.name](z)


def linear(layer, x, p, state, r, training):
    return activate(layer.activation, F.linear(x, p["W"].T, p["b"][0]))


def residual(layer, x, p, state, r, training):
    h = activate(layer.activation, F.linear(activate(layer.begin, x), p["W1"].T, p["b"][0]))
    return activate(layer.end, x + F.linear(h, p["W2"].T))


def dropout(layer, x, p, state, r, training):
    """With the mask that the layer has drawn, which must be 0 or 1 / (1 - rate)."""
    return x * torch.from_numpy(layer.mask[r].copy()) if training else x


def batch_norm(layer, x, p, state, r, training):
    mean, var = state["running_mean"][0], state["running_var"][0]
    return F.batch_norm(x, mean, var, p["gain"][0], p["offset"][0], training, layer.momentum, layer.eps)


def layer_norm(layer, x, p, state, r, training):
    return F.layer_norm(x, x.shape[1:], p["gain"][0], p["offset"][0], layer.eps)


def scale(layer, x, p, state, r, training):
    return x * p["gain"][0]


def parametric(layer, x, p, state, r, training):
    return torch.lerp(x, activate(layer.activation, x), p["share"][0])


def prelu(layer, x, p, state, r, training):
    return F.prelu(x, p["slope"][0])


def members(layer, x, p, state, r, training):
    return torch.cat([x * part for part in p["r"][0].split(x.shape[1])], 1)


def shared_linear(layer, x, p, state, r, training):
    """Each member by itself."""
    k, (narrow, wide) = layer.members, p["W"].shape
    found = []
    for j in range(k):
        own, out = slice(j * narrow, (j + 1) * narrow), slice(j * wide, (j + 1) * wide)
        u = x[:, own] * p["r"][0, own] if "r" in p else x[:, own]
        z = u @ p["W"] * p["q"][0, out] + p["b"][0, out] if "q" in p else u @ p["W"] + p["b"][0]
        found.append(activate(layer.activation, z))
    return torch.cat(found, 1)


def columnwise(layer, codes, x, p):
    """A linear map per column of its code (B, T)."""
    if layer.dim is None:
        return torch.cat(codes, 1)
    maps = p["W"].split([code.shape[1] for code in codes])
    y = torch.cat([code @ W for code, W in zip(codes, maps, strict=True)], 1)
    y = activate(layer.activation, y + p["b"][0] if "b" in p else y)
    return torch.cat([y, x], 1) if layer.direct else y


def of_columns(embed):
    """The columns that are embedded stand behind the others."""

    def run(layer, x, p, *more):
        if layer.columns is None:
            return embed(layer, x, p, *more)
        rest = [i for i in range(x.shape[1]) if i not in layer.columns]
        return torch.cat([x[:, rest], embed(layer, x[:, layer.columns], p, *more)], 1)

    return run


@of_columns
def piecewise(layer, x, p, state, r, training):
    """Written bin by bin, as equation 1 of the paper has it."""
    codes = []
    for column, edges in zip(x.T, layer.edges, strict=True):
        bins = []
        for t, (a, b) in enumerate(pairwise(edges)):
            way = (column - a) / (b - a)
            way = way if t == 0 else way.clamp(min=0)
            bins.append(way if t == len(edges) - 2 else way.clamp(max=1))
        codes.append(torch.stack(bins, 1))
    return columnwise(layer, codes, x, p)


@of_columns
def embedding(layer, x, p, state, r, training):
    codes = []
    for column, n in zip(x.T, layer.widths, strict=True):
        code = column.detach().round().long()
        known = (code >= 0) & (code < n)
        codes.append(F.one_hot(code.clamp(0, n - 1), n) * known[:, None].double() + 0 * column[:, None])
    return columnwise(layer, codes, x, p)


@of_columns
def periodic(layer, x, p, state, r, training):
    k, codes = layer.n_frequencies, []
    for i, column in enumerate(x.T):
        angle = 2 * torch.pi * column[:, None] * p["f"][0, i * k : (i + 1) * k]
        if layer.phase:
            codes.append(torch.cos(angle + p["shift"][0, i * k : (i + 1) * k]))
        else:
            codes.append(torch.cat([torch.cos(angle), torch.sin(angle)], 1))
    return columnwise(layer, codes, x, p)


LAYERS = {
    "Members": members,
    "SharedLinear": shared_linear,
    "Linear": linear,
    "Residual": residual,
    "Dropout": dropout,
    "BatchNorm": batch_norm,
    "LayerNorm": layer_norm,
    "Scale": scale,
    "Parametric": parametric,
    "PReLU": prelu,
    "PiecewiseLinearEmbedding": piecewise,
    "Embedding": embedding,
    "PeriodicEmbedding": periodic,
}


class Twin:
    """Replica r of a network, from the weights and statistics that it has now."""

    def __init__(self, net, r=0):
        self.net, self.r = net, r
        self.p = {k: torch.tensor(np.array(v[r])).requires_grad_() for k, v in net.parameters.items()}
        self.state = {k: torch.tensor(np.array(v[r])) for k, v in net.statistics.items()}

    def __call__(self, x, training=True):
        """Logits (B, C) of x (B, I), a torch tensor."""
        for k, layer in enumerate(self.net.layers):
            mine = [
                {key.partition(".")[2]: v for key, v in blocks.items() if key.startswith(f"{k}.")}
                for blocks in (self.p, self.state)
            ]
            x = LAYERS[type(layer).__name__](layer, x, *mine, self.r, training)
        return x

    def weights(self):
        """Parameters that decay, and those that don't."""
        decaying = [self.p[spec.name] for spec in self.net.specs if spec.is_weight]
        return decaying, [self.p[spec.name] for spec in self.net.specs if not spec.is_weight]


def loss_values(loss, task, logits, y):
    """Per-example values (B,) and weights (B,) of labels (B,) or targets (B, C)."""
    C = logits.shape[1]
    targets = F.one_hot(y, C).double() if y.ndim == 1 else y
    w = torch.ones(len(y)).double()
    if loss.class_weight is not None:
        w = torch.from_numpy(loss.class_weight)[y]
    if loss.name == "cross_entropy":
        return F.cross_entropy(logits, y, reduction="none", label_smoothing=loss.label_smoothing), w
    if loss.name == "binary_cross_entropy":
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1), w
    return F.mse_loss(logits, targets, reduction="none").mean(1), w


def optimizer(mine, twin):
    """The optimizer of torch that follows the same rule."""
    h, everything, optim = mine.hyper, list(twin.p.values()), torch.optim
    if isinstance(mine, optimizers.SGD):
        return optim.SGD(everything, h["lr"])
    if isinstance(mine, optimizers.Momentum):
        nesterov = isinstance(mine, optimizers.Nesterov)
        return optim.SGD(everything, h["lr"], momentum=h["momentum"], nesterov=nesterov)
    if isinstance(mine, optimizers.RMSProp):
        return optim.RMSprop(everything, h["lr"], alpha=h["decay"], eps=h["eps"])
    if isinstance(mine, optimizers.AdamW):
        decaying, rest = twin.weights()
        groups = [{"params": decaying, "weight_decay": h["weight_decay"]}, {"params": rest, "weight_decay": 0.0}]
        return optim.AdamW(groups, h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"])
    return optim.Adam(everything, h["lr"], betas=(h["beta1"], h["beta2"]), eps=h["eps"])
