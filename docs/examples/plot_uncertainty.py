"""
How sure is an ensemble?
========================

Members of an ensemble agree where there are data, and differ where there are none. Fifty networks, each with its own
seed, train as one stack on two moons; the spread of their predictions is a measure of uncertainty.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

rng = np.random.default_rng(0)
angle = rng.uniform(0, np.pi, 300)
label = rng.integers(0, 2, 300)
moons = np.column_stack([np.cos(angle) + label, np.where(label, 0.4 - np.sin(angle), np.sin(angle))])
moons = (moons + rng.normal(0, 0.1, moons.shape)).astype(np.float32)

# %%
# Fifty networks: one call.
stack = xbnet.Network([xbnet.Linear(20, "relu"), xbnet.Linear(20, "relu"), xbnet.Linear(2)], 2, replicas=50, rng=0)
xbnet.fit(stack, "cross_entropy", xbnet.Adam(lr=0.01), (moons, label), epochs=60, batch_size=32, rng=0)

# %%
# The mean of the members' probabilities is the ensemble's answer (left). Their standard deviation grows away from the
# data (right): there the networks have nothing to go by, and each continues in its own way.
ticks = np.linspace(-3, 4, 120)
grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2).astype(np.float32)
p = stack.predict_proba(grid)[:, :, 1]  # (R, N)

figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
for axis, values, title, colours in (
    (axes[0], p.mean(axis=0), "mean probability of class 1", "RdBu_r"),
    (axes[1], p.std(axis=0), "standard deviation of the members", "viridis"),
):
    picture = axis.pcolormesh(ticks, ticks, values.reshape(120, 120), cmap=colours)
    figure.colorbar(picture, ax=axis)
    axis.scatter(*moons.T, c=label, cmap="RdBu_r", s=8, edgecolors="white", linewidths=0.3)
    axis.set_title(title)
