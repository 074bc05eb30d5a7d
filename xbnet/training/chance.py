"""How good an answer is that does not look at the inputs: who is no better has not learned."""

from __future__ import annotations

import numpy as np

from ..nn.layers import Linear
from ..nn.losses import Loss
from ..nn.network import Network
from .evaluation import evaluate


def chance_loss(network: Network, loss: Loss, task: str, y: np.ndarray) -> np.ndarray:
    """The mean loss (R,) of the best constant answer: the classes' shares, or the mean of the targets.

    Parameters
    ----------
    network
        Whose outputs, replicas and type are taken.
    loss
        With its weights of classes and smoothing.
    task
        "classification", "multilabel" or "regression".
    y
        Labels (N,), or targets (N, C).

    Examples
    --------
    >>> from xbnet.nn.losses import SoftmaxCrossEntropy
    >>> network, loss = Network([Linear(2)], n_inputs=3), SoftmaxCrossEntropy()
    >>> chance_loss(network, loss, "classification", np.array([0, 1, 1, 0])).round(4)
    array([0.6931])
    """
    R, C = network.replicas, network.n_outputs
    weight = None
    if task == "classification":
        counts, loss = np.bincount(y, minlength=C).astype(float), loss.balanced_by(y, C)
        weighted = counts if loss.class_weight is None else counts * loss.class_weight
        smoothing = float(np.mean(getattr(loss, "label_smoothing", 0.0)))
        mean = (1 - smoothing) * weighted / max(weighted.sum(), 1e-300) + smoothing / C
        y, weight = np.arange(C), counts  # a row per class that weighs as much as all of its rows
    else:
        mean = np.asarray(y, float).mean(axis=0)
    constant = Network([Linear(C)], 1, replicas=R, backend=network.backend, dtype=network.dtype, rng=0)
    outputs = np.zeros((R, 2 * C))  # weights, then biases
    outputs[:, C:] = _logits(loss.links[task], mean)
    constant.theta[...] = network.backend.asarray(outputs, network.dtype)
    return evaluate(constant, loss, np.zeros((len(y), 1)), y, weight)["loss"]


def _logits(link: str, mean: np.ndarray) -> np.ndarray:
    """The outputs (C,) of which a link makes these means."""
    if link in ("identity", "scores"):
        return mean
    p = np.clip(mean, 1e-12, 1 - 1e-12)
    return np.log(p) if link == "softmax" else np.log(p) - np.log1p(-p)
