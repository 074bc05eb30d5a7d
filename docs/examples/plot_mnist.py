"""
MNIST, and what a layer sees
============================

A multilayer perceptron on images of handwritten digits. ``xbnet data fetch mnist`` brings the 70,000 images of MNIST,
once. Without them this page runs on scikit-learn's small digits, and the first line of its output says so.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

try:
    data = xbnet.datasets.split(xbnet.load_dataset("mnist"), val=5000)
except xbnet.DataError:  # not fetched
    from sklearn.datasets import load_digits

    print("MNIST is not on this machine: the page goes on with scikit-learn's digits of 8 x 8 pixels.")
    images, labels = load_digits(return_X_y=True)
    digits = xbnet.Dataset("digits", xbnet.Part((images / 16).astype(np.float32), labels))
    data = xbnet.datasets.split(digits, val=0.2)
side = int(data.n_inputs**0.5)
data

# %%
layers = [xbnet.Linear(64, "relu"), xbnet.Dropout(0.2), xbnet.Linear(10)]
network = xbnet.Network(layers, data.n_inputs, rng=0)
epochs = 60 if len(data.train) < 10_000 else 8
history = xbnet.fit(network, "cross_entropy", xbnet.Adam(lr=0.003), data, epochs=epochs, patience=10, rng=0)
print(f"validation accuracy {history.at_best('val_accuracy')[0]:.3f} at epoch {history.best_epoch[0]}")
history

# %%
# Each hidden unit weighs the pixels in its own way: some look for strokes, some for their absence.
weights = np.asarray(network.parameters["0.W"])[0]
figure, axes = plt.subplots(4, 8, figsize=(8, 4.2), layout="constrained")
for axis, weight in zip(axes.flat, weights.T):
    most = abs(weight).max()
    axis.imshow(weight.reshape(side, side), cmap="RdBu", vmin=-most, vmax=most)
    axis.set_axis_off()

# %%
# The images that the network is least sure of:
p = network.predict_proba(data.val.x)
doubtful = np.argsort(p.max(axis=1))[:8]
figure, axes = plt.subplots(1, 8, figsize=(9, 1.8), layout="constrained")
for axis, i in zip(axes, doubtful):
    axis.imshow(data.val.x[i].reshape(side, side), cmap="gray_r")
    axis.set_title(f"{p[i].argmax()}, {p[i].max():.0%}\ntrue: {data.val.y[i]}", fontsize=8)
    axis.set_axis_off()
