"""
Regression with intervals from a stack
======================================

Two hundred small networks, each on rows drawn with replacement, show how well the data determine a curve. They
train as one stack, because there is a weight per row and network.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

rng = np.random.default_rng(0)
x = np.sort(np.concatenate([rng.uniform(-3, -0.5, 60), rng.uniform(1, 3, 40)])).astype(np.float32)[:, None]
y = np.sin(2 * x[:, 0]) + 0.3 * x[:, 0] + rng.normal(0, 0.2, len(x))

# %%
# A bootstrap draws n of n rows with replacement. Here each chunk of twenty networks gets the rows of one draw, and the
# networks of a chunk have seeds of their own.
curves = []
ticks = np.linspace(-4, 4, 200, dtype=np.float32)[:, None]
for draw in range(10):
    rows = rng.integers(0, len(x), len(x))
    stack = xbnet.Network([xbnet.Linear(20, "tanh"), xbnet.Linear(1)], 1, replicas=20, rng=draw)
    xbnet.fit(stack, "mse", xbnet.Adam(lr=0.03), (x[rows], y[rows, None]), epochs=100, batch_size=25, rng=draw)
    curves.append(stack.predict(ticks)[..., 0])
curves = np.concatenate(curves)  # (200, N)

# %%
# The band holds the middle 90 % of the curves. It is narrow where there are data, and wide in the gap and outside.
low, middle, high = np.percentile(curves, [5, 50, 95], axis=0)
figure, axis = plt.subplots(figsize=(7, 3.8), layout="constrained")
axis.fill_between(ticks[:, 0], low, high, alpha=0.25, label="middle 90 % of 200 networks")
axis.plot(ticks[:, 0], middle, label="median")
axis.plot(x[:, 0], y, ".", color="black", ms=4, label="data")
axis.set(xlabel="x", ylabel="y", ylim=(-4, 4))
axis.legend(frameon=False, loc="upper left")
