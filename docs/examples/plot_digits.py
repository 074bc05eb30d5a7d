"""
Handwritten digits
==================

A multilayer perceptron on images of digits, and what its first layer sees. The page runs on scikit-learn's small
digits, which need no download. For the real MNIST, run ``xbnet data fetch mnist`` and let
``data = xbnet.load_dataset("mnist")`` take the place of the first lines.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import xbnet

images, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(images))
images, labels = (images[order] / 16).astype(np.float32), labels[order]
data = xbnet.Dataset("digits", xbnet.Part(images[:1400], labels[:1400]), xbnet.Part(images[1400:], labels[1400:]))

# %%
network = xbnet.Network([xbnet.Linear(64, "relu"), xbnet.Dropout(0.2), xbnet.Linear(10)], n_inputs=64, rng=0)
history = xbnet.fit(network, "cross_entropy", xbnet.Adam(lr=0.003), data, epochs=60, patience=10, rng=0)
print(f"validation accuracy {history.at_best('val_accuracy')[0]:.3f} at epoch {history.best_epoch[0]}")
history

# %%
# Each hidden unit weighs the pixels in its own way: some look for strokes, some for their absence.
weights = np.asarray(network.parameters["0.W"])[0]
figure, axes = plt.subplots(4, 8, figsize=(8, 4.2), layout="constrained")
for axis, weight in zip(axes.flat, weights.T):
    axis.imshow(weight.reshape(8, 8), cmap="RdBu", vmin=-0.6, vmax=0.6)
    axis.set_axis_off()

# %%
# The images that the network is least sure of:
p = network.predict_proba(data.val.x)
doubtful = np.argsort(p.max(axis=1))[:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.8), layout="constrained")
for axis, i in zip(axes, doubtful):
    axis.imshow(data.val.x[i].reshape(8, 8), cmap="gray_r")
    axis.set_title(f"{p[i].argmax()}, {p[i].max():.0%}\ntrue: {data.val.y[i]}", fontsize=8)
    axis.set_axis_off()
