"""
Softmax regression, and its proof
=================================

A linear layer and the cross-entropy are the smallest classifier. Its gradient fits on one line, and a test proves it.
"""
# sphinx_gallery_thumbnail_path = "_static/door-proof.png"

import xbnet

# %%
# Train
# -----
# `gmm` has five classes that overlap, drawn from Gaussian mixtures in five dimensions. A linear layer gives one logit
# per class, and the loss knows how logits become probabilities.
data = xbnet.load_dataset("gmm")
network = xbnet.Network([xbnet.Linear(5)], n_inputs=5, rng=0)
history = xbnet.fit(network, "cross_entropy", xbnet.SGD(lr=0.1), data, epochs=20, rng=0)
history

# %%
# The gradient by hand
# --------------------
# With probabilities :math:`p = \mathrm{softmax}(xW + b)` and one-hot labels :math:`c`, the mean loss over a batch of
# :math:`B` rows has the gradients
#
# .. math:: \frac{\partial L}{\partial W} = \frac{1}{B}\, x^\top (p - c), \qquad
#           \frac{\partial L}{\partial b} = \frac{1}{B} \sum_i (p_i - c_i).
#
# `backward` computes just that. Here are both, side by side:
import numpy as np

x, y = data.val.x[:40], data.val.y[:40]
loss = xbnet.SoftmaxCrossEntropy().bind(network)
logits = network.forward(x[None], training=True)
loss(logits, y[None], network.output_gradient)
network.backward()

p = network.predict_proba(x)
p[np.arange(len(y)), y] -= 1
print(np.abs(network.gradients["0.W"][0] - x.T @ p / len(y)).max())

# %%
# The proof
# ---------
# Along a random direction :math:`d` the loss changes by :math:`e \langle \nabla L, d \rangle`, up to a remainder that
# has to vanish like :math:`e^2`. A wrong gradient leaves a remainder of order 1. The picture shows both curves over the
# number of halvings of :math:`e`; their slopes are the orders in the titles.
result = xbnet.gradient_test(network, "cross_entropy", x, y)
result.raise_if_failed()
result.plot()
