"""
Why residual: twenty layers deep
================================

Twenty plain layers hardly learn what twenty residual blocks of the same width learn at once. The picture shows why: in
the plain network the gradient is lost on its way down.
"""

import matplotlib.pyplot as plt
import numpy as np

import xbnet

data = xbnet.load_dataset("swissroll")
depth, width = 20, 16

plain = [xbnet.Linear(width, "sigmoid") for _ in range(depth)]
residual = [xbnet.Linear(width, "sigmoid"), *(xbnet.Residual("sigmoid") for _ in range(depth - 1))]

# %%
# Three seeds of each train as one stack.
histories, gradients = {}, {}
for name, body in {"plain": plain, "residual": residual}.items():
    network = xbnet.Network([*body, xbnet.Linear(2)], n_inputs=2, replicas=3, rng=0)
    loss = xbnet.SoftmaxCrossEntropy().bind(network)
    logits = network.forward(data.train.x[None, :256], training=True)
    loss(logits, data.train.y[None, :256], network.output_gradient)
    network.backward()
    weights = [block for key, block in network.gradients.items() if ".W" in key]
    gradients[name] = [float(np.sqrt((np.asarray(block) ** 2).mean())) for block in weights]
    histories[name] = xbnet.fit(network, "cross_entropy", xbnet.Adam(lr=0.01), data, epochs=8, batch_size=256, rng=0)

# %%
# At the start, the gradient of a plain network shrinks by a factor per layer on its way from the loss (right) to the
# inputs (left). A residual block adds its change to its input, so the gradient passes it unchanged.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for name, values in gradients.items():
    left.semilogy(np.linspace(0, 1, len(values)), values, ".-", label=name)
left.set(xlabel="place in the network (0: inputs, 1: outputs)", ylabel="gradient of the weights, root mean square")
left.legend(frameon=False)
for name, history in histories.items():
    right.plot(history["epoch"], history["val_accuracy"].mean(axis=1), label=name)
right.set(xlabel="epoch", ylabel="validation accuracy, mean of three seeds")
right.legend(frameon=False)
