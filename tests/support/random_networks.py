"""Random right networks: of all layers, up to 13 deep, in float32 and float64, with inputs from 1e-3 to 1e3.

``python -m tests.support.random_networks 1000`` holds so many against `gradient_test`, tells which failed or could not be
judged, and fails where one failed: none may. ``--first N`` begins at another seed.
"""

import argparse
import sys
from collections import Counter

import numpy as np

import xbnet
from xbnet.nn.activations import ACTIVATIONS
from xbnet.nn.layers import LAYERS

NAMES = sorted(ACTIVATIONS)
WIDENING = (xbnet.Embedding, xbnet.PeriodicEmbedding, xbnet.PiecewiseLinearEmbedding)
MEMBERS = (xbnet.Members, xbnet.SharedLinear, xbnet.MemberOutputs)


class Maker:
    """Draws the parts of one problem."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def whole(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def layer(self, kind):
        """A layer of this kind, with settings drawn."""
        settings = {
            xbnet.Linear: lambda: (self.whole(1, 12), self.one(*NAMES)),
            xbnet.Dropout: lambda: (float(self.rng.uniform(0, 0.8)),),
            xbnet.Parametric: lambda: (self.one(*NAMES),),
            xbnet.PReLU: lambda: (float(self.rng.uniform(-1, 1)),),
            xbnet.Embedding: lambda: (self.whole(1, 5), self.one(None, 1, 3)),
            xbnet.PiecewiseLinearEmbedding: lambda: (
                np.cumsum(self.rng.uniform(0.1, 2, self.whole(2, 5))) - 2,
                self.one(None, 1, 3),
            ),
        }
        if kind is xbnet.Residual:
            more = {name: self.one(None, self.one(*NAMES)) for name in ("begin", "end")}
            return kind(self.one(*NAMES), n_hidden=self.one(None, self.whole(1, 7)), **more)
        if kind is xbnet.PeriodicEmbedding:
            more = {"phase": self.one(True, False), "direct": self.one(True, False), "activation": self.one(*NAMES)}
            return kind(self.whole(2, 3), n_frequencies=self.whole(1, 4), sigma=self.one(0.1, 1.0), **more)
        return kind(*settings.get(kind, tuple)())

    def layers(self, outputs):
        """Up to 12 layers, and the last one; embeddings at the beginning alone, for they widen."""
        first = [self.layer(self.one(*WIDENING))] if self.rng.random() < 0.2 else []
        kinds = [kind for kind in LAYERS.values() if kind not in (*WIDENING, *MEMBERS)]
        middle = [self.layer(self.one(*kinds)) for _ in range(self.whole(0, 12 - len(first)))]
        if self.rng.random() < 0.1:
            return [*first, *middle[:4], *self.sharing(outputs)]
        return [*first, *middle, xbnet.Linear(outputs)]

    def sharing(self, outputs):
        k, adapters = self.whole(1, 4), self.one("none", "outputs", "both")
        inner = xbnet.SharedLinear(self.whole(1, 6), self.one(*NAMES), members=k, adapters=adapters)
        start = self.one("signs", "normal", "ones")
        return [xbnet.Members(k, start=start), inner, xbnet.MemberOutputs(outputs, members=k)]


def problem(seed):
    """Return a network, a loss, a batch, and what else `gradient_test` is told."""
    make = Maker(seed)
    rng, C, inputs, B = make.rng, make.whole(1, 5), make.whole(1, 6), make.whole(1, 12)
    layers, dtype = make.layers(C), make.one("float32", "float64")
    network = xbnet.Network(layers, inputs, replicas=make.whole(1, 4), dtype=dtype, rng=seed)
    x = rng.standard_normal((B, inputs)) * 10.0 ** rng.uniform(-3, 3)
    x = make.one(x, x, np.round(x), x * (x > 0))
    y = rng.integers(0, C, B)
    cost = {"l2": make.one(0, 0, 0.01), "l1": make.one(0, 0, 0.01)}
    cost["sample_weight"] = make.one(None, rng.uniform(0.01, 2, B))
    weights = make.one(None, rng.uniform(0.1, 2, C))
    losses = [
        xbnet.SoftmaxCrossEntropy(class_weight=weights, label_smoothing=make.one(0, 0.1)),
        xbnet.BinaryCrossEntropy(class_weight=weights),
        xbnet.MeanSquaredError(),
    ]
    if isinstance(layers[-1], xbnet.MemberOutputs):
        del losses[1]  # members take no other
    loss = make.one(*losses)
    if loss.name == "mse" and rng.random() < 0.5:
        y = rng.standard_normal((B, C))
    return network, loss, x, y, cost


def judge(seed):
    """The result of `gradient_test` on one random network."""
    network, loss, x, y, cost = problem(seed)
    return network, xbnet.gradient_test(network, loss, x, y, rng=seed, **cost)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", type=int)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    words = parser.parse_args()
    count = Counter()
    for seed in range(words.first, words.first + words.networks):
        network, result = judge(seed)
        count[result.passed] += 1
        if not result.passed:
            lines = result.failures() or result.reasons()
            layers = ", ".join(type(layer).__name__ for layer in network.layers)
            print(f"{seed}: {'not judged' if result.passed is None else 'FAILED'}: {layers}: {lines[0]}", flush=True)
    print(f"{count[True]} passed, {count[False]} failed, {count[None]} not judged")
    return bool(count[False])


if __name__ == "__main__":
    sys.exit(main())
