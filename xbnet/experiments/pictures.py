"""Pictures that only the experiments draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..plots import TRAIN, VALIDATION, new_figure, verbatim


def weight_images(weights: np.ndarray, image_shape: tuple[int, int, int], classes: Sequence[str]) -> Any:
    """Each class's weights as an image, scaled to its own range.

    Parameters
    ----------
    weights
        (I, C), with I = channels * height * width.
    image_shape
        (channels, H, W), 1 or 3 channels.
    classes
        Names, C.
    """
    figure, axes = new_figure(len(classes), width=0.9, height=1.1)
    for axis, weight, name in zip(axes[0], weights.T, classes, strict=True):
        image = weight.reshape(image_shape).transpose(1, 2, 0)
        low, high = image.min(), image.max()
        axis.imshow(((image - low) / max(high - low, 1e-12)).squeeze(), cmap="gray")
        axis.set_title(verbatim(name), fontsize=8)
        axis.set_axis_off()
    return figure


def true_class_histograms(
    probabilities: dict[str, np.ndarray], y: np.ndarray, bins: int = 25, *, log: bool = False
) -> Any:
    """How probable the true class was, for samples that were classified right and wrong.

    Parameters
    ----------
    probabilities
        Label -> (N, C): one pair of axes for each.
    y
        Labels (N,).
    bins
        In [0, 1].
    log
        Count on a logarithmic axis.
    """
    figure, axes = new_figure(len(probabilities), width=4.2, height=3.2)
    for axis, (label, p) in zip(axes[0], probabilities.items(), strict=True):
        true = p[np.arange(len(y)), y]
        right = p.argmax(axis=1) == y
        edges = np.linspace(0, 1, bins + 1)
        for which, name, color in ((right, "right", TRAIN), (~right, "wrong", VALIDATION)):
            axis.hist(true[which], edges, log=log, alpha=0.6, color=color, label=f"{name} ({which.sum():,})")
        axis.set_title(verbatim(label), fontsize=10)
        axis.set_xlabel("probability of the true class")
        axis.set_ylabel("samples")
        axis.legend(frameon=False)
    return figure
