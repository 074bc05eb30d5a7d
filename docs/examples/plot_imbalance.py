"""
A rare class: weights
=====================

If one class has two per cent of the rows, a network that never predicts it is right 98 times in a hundred. Weights
per class change what the loss asks for.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

rng = np.random.default_rng(0)


def draw(n):
    """Points of two overlapping clouds; two per cent belong to the rare one."""
    y = (rng.random(n) < 0.02).astype(int)
    return (rng.normal(0, 1, (n, 2)) + 1.6 * y[:, None]).astype(np.float32), y


data = xbnet.Dataset("clouds", xbnet.Part(*draw(8000)), xbnet.Part(*draw(8000)))

# %%
# Three losses: each class counts as often as it occurs, half as much as it would in balance, and as if there were as
# many rows of each class.
share = np.bincount(data.train.y) / len(data.train)
recalls, precisions = [], []
powers = (0.0, 0.5, 1.0)
for power in powers:
    network = xbnet.Network([xbnet.Linear(8, "tanh"), xbnet.Linear(2)], n_inputs=2, rng=0)
    loss = xbnet.SoftmaxCrossEntropy(class_weight=share**-power)
    xbnet.fit(network, loss, xbnet.Adam(lr=0.01), data, epochs=10, rng=0)
    decided, true = network.predict(data.val.x) == 1, data.val.y == 1
    recalls.append((decided & true).sum() / true.sum())
    precisions.append((decided & true).sum() / max(decided.sum(), 1))

# %%
# Weights find more of the rare class, and raise more false alarms: which is better depends on what each costs.
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
axis.plot(powers, recalls, "o-", label="recall of the rare class")
axis.plot(powers, precisions, "s-", label="precision of the rare class")
axis.set(xlabel="weight = share to the power of minus ...", ylabel="share", xticks=powers, ylim=(-0.03, 1.03))
axis.legend(frameon=False)
