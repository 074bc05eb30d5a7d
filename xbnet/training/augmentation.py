"""Changes to the training samples of each batch, made on the device."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..backends.arrays import Array
from ..backends.backend import Backend
from ..errors import ConfigError
from .batches import Batch, Shuffled, each_once
from .samples import Samples


class Flips:
    """Mirrors each image of a batch left to right with some probability, drawn again in every epoch.

    The masks are drawn on the host, by the generators that shuffle, so that a stacked replica sees the images that
    it would see alone.

    Parameters
    ----------
    probability
        In [0, 1].
    image_shape
        (C, H, W): each row of x is an image in this order.
    """

    def __init__(self, probability: float, image_shape: tuple[int, int, int]):
        self.probability, self.image_shape = probability, image_shape
        self._buffers: dict[tuple[int, ...], Array] = {}

    def epoch(self, batches: Shuffled) -> Iterator[Batch]:
        """The batches of the next epoch; x (R or 1, B, I) is in a buffer that the next batch overwrites."""
        backend, start, masks = batches.backend, 0, None
        for x, y, w in batches.epoch():
            if masks is None:  # after the epoch's order was drawn from the same generators
                masks = self._draw(backend, batches)
            B = x.shape[1]
            yield Batch(self._flip(backend, x, masks[:, start : start + B]), y, w)
            start += B

    def _draw(self, backend: Backend, batches: Shuffled) -> Array:
        """Which samples of the epoch are mirrored, (R or 1, N)."""
        n = batches.data.n
        rows = each_once(lambda stream: stream.random(n, dtype=np.float32) < self.probability, batches.streams)
        return backend.asarray(np.stack(rows if any(row is not rows[0] for row in rows) else rows[:1]))

    def _flip(self, backend: Backend, x: Array, mask: Array) -> Array:
        """X (R or 1, B, I), with the images mirrored where mask (R or 1, B) is set."""
        xp, shape = backend.xp, (max(x.shape[0], mask.shape[0]), *x.shape[1:])
        if shape not in self._buffers:
            self._buffers[shape] = xp.empty(shape, dtype=x.dtype)
        out = self._buffers[shape]
        images, flipped = (a.reshape(*a.shape[:2], *self.image_shape) for a in (x, out))
        xp.copyto(flipped, images)
        xp.copyto(flipped, images[..., ::-1], where=mask[:, :, None, None, None])
        return out


def get_flips(probability: float, data: Samples) -> Flips | None:
    """`Flips` for the images of a data set, or None for the probability 0.

    Raises
    ------
    ConfigError
        The data set holds no images.
    """
    if probability == 0:
        return None
    if data.image_shape is None:
        raise ConfigError(f"fit: flip needs images, and {data.name} has none; set image_shape=(C, H, W) of the Dataset")
    return Flips(probability, data.image_shape)
