"""Whether a run fits into memory at all, checked before it begins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..backends.backend import Backend, get_backend
from ..backends.memory import expect_memory
from ..nn.layers.base import Layer
from ..nn.layers.build import buffer_shapes, build_layers, copy_layers
from ..nn.memory import expect_network, slot_sizes
from ..optim.optimizer import Optimizer
from ..parsing import float_type, whole

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from .trainer import Trainer


def check_memory(trainer: Trainer, optimizer: Optimizer) -> None:
    """Refuse what a run surely needs and a machine has not, whatever else goes on there.

    Counted are theta and its gradient, the optimizer's state, what lies between the layers for one batch, and an
    epoch's orders of the samples.
    """
    network, B, n = trainer.network, trainer.batch_size, trainer.train.n
    orders = len({id(stream) for stream in trainer.shuffles}) * n * np.dtype(np.intp).itemsize if n > B else 0
    sizes = network.replicas, network.n_parameters, B
    _expect(network.layers, sizes, len(optimizer.slots), network.dtype, network.backend, orders)


def expect_training(
    layers: Sequence[Layer],
    n_inputs: int,
    optimizer: Optimizer,
    *,
    replicas: int = 1,
    backend: str | Backend = "numpy",
    dtype: DTypeLike = "float32",
    batch_size: int = 1,
) -> None:
    """Refuse what `Network` and `fit` would before there is a network: to draw large weights takes minutes.

    Raises
    ------
    ConfigError, BackendError
        As `Network` and `fit` raise it.
    """
    bare, R, there = copy_layers(layers), whole("Network", "replicas", replicas), get_backend(backend)
    specs, _, _ = build_layers(bare, whole("Network", "n_inputs", n_inputs))
    kind, P = float_type("Network", dtype), sum(spec.size for spec in specs)
    expect_network(R, specs, kind, there)
    _expect(bare, (R, P, batch_size), len(optimizer.slots), kind, there)


def _expect(
    layers: Sequence[Layer], sizes: tuple[int, int, int], slots: int, dtype: np.dtype, backend: Backend, orders: int = 0
) -> None:
    R, P, B = sizes
    between = sum(slot_sizes(buffer_shapes(layers, B)).values())
    batches = f" and batches of {B:,} rows" if B > 1 else ""
    expect_memory(
        "fit",
        f"{R:,} x {P:,} parameters{batches}",
        R * (P * (2 + slots) + between) * dtype.itemsize + orders,
        backend,
        "take fewer replicas, smaller layers or a smaller batch_size",
    )
