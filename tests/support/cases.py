"""One table of everything that can be chosen: the rows that value, gradient, stack and backend tests run over.

Calling a row makes a new object. `test_cases.py` fails where a public class or a table's entry has no row.
"""

import numpy as np

import xbnet
from xbnet import (
    BatchNorm,
    Dropout,
    Embedding,
    LayerNorm,
    Linear,
    Members,
    Parametric,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
    PReLU,
    Residual,
    Scale,
    SharedLinear,
)
from xbnet.nn.activations import ACTIVATIONS
from xbnet.optim.schedule import Schedule
from xbnet.optim.schedules import Cosine, Exponential, InverseTime, Plateau, Step, Triangular, Warmup

N_INPUTS, N_CLASSES = 4, 3

# Name -> layers that map any width to any width, to be put in front of `Linear(N_CLASSES)`.
LAYERS = {
    "linear": lambda: [Linear(5)],
    **{f"linear-{name}": lambda name=name: [Linear(5, name)] for name in ACTIVATIONS},
    "residual": lambda: [Residual()],
    "residual-begin": lambda: [Residual("gelu", n_hidden=6, begin="silu")],
    "residual-end": lambda: [Residual("relu", n_hidden=2, end="elu")],
    "residual-both": lambda: [Residual("softplus", begin="tanh", end="leaky_relu")],
    "dropout": lambda: [Dropout(0.4)],
    "batchnorm": lambda: [BatchNorm(momentum=0.3)],
    "layernorm": lambda: [LayerNorm(eps=1e-3)],
    "scale": lambda: [Scale()],
    "parametric": lambda: [Parametric("mish")],
    "parametric-relu": lambda: [Parametric("relu")],
    "prelu": lambda: [PReLU(0.1)],
    "members": lambda: [
        Members(2, start="normal"),
        SharedLinear(5, "tanh", members=2),
        SharedLinear(3, "relu", members=2, adapters="both"),
        SharedLinear(4, members=2, adapters="none"),
    ],
    "piecewise": lambda: [PiecewiseLinearEmbedding([[-1, 0, 1], [-2, 0.5], [-1, -0.5, 0.5, 1], [0, 1]], 3)],
    "piecewise-codes": lambda: [PiecewiseLinearEmbedding([-1, 0, 1], None)],
    "piecewise-tanh": lambda: [Linear(3), PiecewiseLinearEmbedding([-1, -0.3, 0.5, 1], 2, activation="tanh")],
    "embedding": lambda: [Embedding([3, 2, 4, 3], 2)],
    "mixed-columns": lambda: [Embedding([3, 4], 2, columns=[3, 1]), PeriodicEmbedding(2, columns=[0])],
    "piecewise-columns": lambda: [PiecewiseLinearEmbedding([-1, 0, 1], 3, columns=[1, 2])],
    "embedding-one-hot": lambda: [Embedding(3, None)],
    "periodic": lambda: [PeriodicEmbedding(3, n_frequencies=4, sigma=0.3)],
    "periodic-plr": lambda: [
        Linear(3),
        PeriodicEmbedding(2, n_frequencies=3, sigma=0.3, phase=False, direct=False, activation="tanh"),
    ],
    "deep": lambda: [
        Linear(6, "gelu"),
        BatchNorm(),
        Residual("tanh", n_hidden=3, begin="silu"),
        Dropout(0.2),
        LayerNorm(),
    ],
}

OF_FOUR_INPUTS = {"piecewise", "embedding", "mixed-columns", "piecewise-columns"}
"""Layers whose settings name each of their inputs."""

# Name -> (loss, task); "multilabel" and "regression" have targets (N, C), "classification" labels (N,).
LOSSES = {
    "cross_entropy": lambda: (xbnet.SoftmaxCrossEntropy(), "classification"),
    "cross_entropy-smoothed": lambda: (xbnet.SoftmaxCrossEntropy(label_smoothing=0.1), "classification"),
    "cross_entropy-weighted": lambda: (xbnet.SoftmaxCrossEntropy(class_weight=[1, 0.5, 2]), "classification"),
    "binary_cross_entropy": lambda: (xbnet.BinaryCrossEntropy(), "classification"),
    "binary_cross_entropy-weighted": lambda: (xbnet.BinaryCrossEntropy(class_weight=[1, 0.5, 2]), "classification"),
    "binary_cross_entropy-multilabel": lambda: (xbnet.BinaryCrossEntropy(), "multilabel"),
    "mse": lambda: (xbnet.MeanSquaredError(), "regression"),
    "mse-classification": lambda: (xbnet.MeanSquaredError(class_weight=[1, 0.5, 2]), "classification"),
}

# Name -> optimizer whose every hyper-parameter differs from its default.
OPTIMIZERS = {
    "sgd": lambda: xbnet.SGD(0.2),
    "momentum": lambda: xbnet.Momentum(0.05, momentum=0.8),
    "nesterov": lambda: xbnet.Nesterov(0.05, momentum=0.7),
    "rmsprop": lambda: xbnet.RMSProp(0.02, decay=0.9, eps=1e-3),
    "adam": lambda: xbnet.Adam(0.03, beta1=0.8, beta2=0.95, eps=1e-3),
    "adamw": lambda: xbnet.AdamW(0.03, beta1=0.8, beta2=0.95, eps=1e-3, weight_decay=0.3),
}

# Name -> (schedule, its factors at the epochs 0, 0.5, 1, 2 and 3 of a run of 4), worked out by hand.
SCHEDULES = {
    "constant": lambda: (Schedule(), [1, 1, 1, 1, 1]),
    "step": lambda: (Step(every=1, gamma=0.3), [1, 1, 0.3, 0.09, 0.027]),
    "exponential": lambda: (Exponential(gamma=0.8), [1, 1, 0.8, 0.64, 0.512]),
    "inverse_time": lambda: (InverseTime(rate=0.5), [1, 1 / 1.25, 1 / 1.5, 1 / 2, 1 / 2.5]),
    "cosine": lambda: (
        Cosine(final=0.2),
        0.6 + 0.4 * np.cos(np.pi * np.array([0, 1 / 8, 1 / 4, 1 / 2, 3 / 4])),
    ),
    "triangular": lambda: (Triangular(half_cycle=2, low=0.2), [0.2, 0.4, 0.6, 1, 0.6]),
    "warmup": lambda: (Warmup(epochs=2), [0.0005, 0.2505, 0.5005, 1, 1]),
    "plateau": lambda: (Plateau(), [1, 1, 1, 1, 1]),
}

# Name -> (mean, standard deviation) of a weight (I, O).
INITIALIZERS = {
    "glorot": lambda rows, columns: (0, (2 / (rows + columns)) ** 0.5),
    "he": lambda rows, columns: (0, (2 / rows) ** 0.5),
    "lecun": lambda rows, columns: (0, (1 / rows) ** 0.5),
    "zeros": lambda rows, columns: (0, 0),
    "ones": lambda rows, columns: (1, 0),
    "normal:0.3": lambda rows, columns: (0, 0.3),
    "uniform:0.3": lambda rows, columns: (0, 0.3 / 3**0.5),
}


def network(layers="linear-tanh", *, n_outputs=N_CLASSES, n_inputs=N_INPUTS, dtype="float64", rng=0, **more):
    """A network of a row of `LAYERS` (or of layers), closed by a `Linear`."""
    front = LAYERS[layers]() if isinstance(layers, str) else list(layers)
    return xbnet.Network([*front, Linear(n_outputs)], n_inputs, dtype=dtype, rng=rng, **more)


def samples(task="classification", n=22, seed=5):
    """Inputs (N, I) and targets; 22 rows in batches of 8 leave a short last one."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_INPUTS))
    if task == "classification":
        return x, np.r_[:N_CLASSES, rng.integers(0, N_CLASSES, n - N_CLASSES)]
    if task == "multilabel":
        return x, (rng.random((n, N_CLASSES)) < 0.4).astype(int)
    return x, rng.normal(size=(n, N_CLASSES))


def device_samples(net, task="classification", B=7, leading=None, seed=6):
    """A batch on the network's device: x (R or 1, B, I), labels (R or 1, B) or targets (R or 1, B, C)."""
    leading = net.replicas if leading is None else leading
    x, y = samples(task, leading * B, seed) if leading * B > N_CLASSES else samples(task, N_CLASSES + 1, seed)
    x, y = x[: leading * B, : net.n_inputs], y[: leading * B]
    put = net.backend.asarray
    if task == "classification":
        return put(x.reshape(leading, B, -1), net.dtype), put(y.reshape(leading, B), np.intp)
    return put(x.reshape(leading, B, -1), net.dtype), put(y.reshape(leading, B, -1), net.dtype)


def one_of(value, r):
    """Replica r's share of a setting: a list has one value per replica, anything else belongs to all."""
    return value[r] if isinstance(value, list) else value
