"""
A hundred learning rates at once
================================

A stack trains a hundred networks in the products of one. Every setting is a number, or one per network.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

data = xbnet.load_dataset("peaks")
rates = np.geomspace(1e-3, 10, 100)
stack = xbnet.Network([xbnet.Linear(10, "tanh"), xbnet.Linear(5)], n_inputs=2, replicas=100, rng=0)
history = xbnet.fit(stack, "cross_entropy", xbnet.SGD(lr=rates), data, epochs=4, rng=0)
print(f"{history['samples_per_second'][-1]:,.0f} samples per second, all networks together")

# %%
# Too small a rate learns slowly, too large a one does not settle. A network whose loss is no longer finite leaves the
# stack, and its figures are NaN from then on.
figure, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
for epoch in range(len(history)):
    axis.semilogx(rates, history["val_loss"][epoch], color=plt.cm.viridis(epoch / 4), label=f"epoch {epoch + 1}")
axis.set(xlabel="learning rate", ylabel="validation loss", ylim=(0, 2))
axis.legend(frameon=False)

# %%
# The best one is taken out as a network of its own.
best = np.nanargmin(history["val_loss"][-1])
network = stack.select([best])
print(f"rate {rates[best]:.3g}: validation accuracy {history['val_accuracy'][-1, best]:.4f}")
