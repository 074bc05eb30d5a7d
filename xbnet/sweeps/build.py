"""From members to a stack that is ready to train; a member alone is a stack of one."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..backends.machine.load import why_not
from ..errors import ConfigError
from ..io.networks import describe_network
from ..nn.layers import Layer
from ..nn.layers.tables import Embedding, embed_numbers
from ..nn.losses import DEFAULT_LOSSES, Loss, SoftmaxCrossEntropy, get_loss
from ..nn.mlp import mlp
from ..nn.network import Network
from ..nn.sharing import sharing_mlp
from ..optim.optimizer import Optimizer
from ..optim.optimizers import get_optimizer
from ..optim.schedule import Schedule
from ..replicas import replica_seeds, stream
from ..training.memory import expect_training
from ..training.recipe import Recipe
from ..training.samples import Samples
from ..training.trainer import Trainer
from .paused import Paused, go_on
from .plan import Member
from .pool import Pool
from .space import OPTIMIZER_KEYS, SCHEDULE_KEYS, Configuration, make_schedule


@dataclass(frozen=True)
class Program:
    """The settings that all members of a sweep share; it is sent to every worker.

    Attributes
    ----------
    pool
        Samples and folds.
    layers
        The user's function of layers, or None.
    monitor, backend, dtype, class_weight
        See `sweep`.
    execution
        See `sweep`; "auto" is replaced by what was chosen for the sweep as a whole.
    """

    pool: Pool
    layers: Callable[..., Sequence[Layer]] | None = None
    monitor: str | None = None
    backend: str = "numpy"
    dtype: str = "float32"
    class_weight: Any = None
    execution: str = "auto"


def layer_keys(layers: Any) -> list[str] | None:
    """The keys that the user's function of layers takes; None without one."""
    if layers is None:
        return None
    if not callable(layers):
        raise ConfigError(f"sweep: expected layers to be a function that returns a list of layers, got {layers!r}")
    return list(inspect.signature(layers).parameters)


def make_layers(program: Program, members: Sequence[Member]) -> list[Layer]:
    """The layers of a stack; a dropout rate may differ between its members."""
    settings = members[0].settings
    rate = [m.settings["dropout"] for m in members] if "dropout" in settings else None
    if program.layers is not None:
        keys = layer_keys(program.layers) or []
        arguments = {key: settings[key] for key in keys if key in settings}
        return list(program.layers(**arguments | ({"dropout": rate} if "dropout" in keys and rate else {})))
    data = program.pool.data
    given: dict[str, Any] = {"dropout": 0.0 if rate is None else rate}
    if settings.get("sharing", "none") == "none":
        more = {"residual": settings["residual"], "batch_norm": settings["batch_norm"]}
        layers = mlp(settings["hidden"], data.n_outputs, settings["activation"], **more, **given)
    else:
        more = {"members": settings.get("members", 1), "sharing": settings["sharing"]}
        layers = sharing_mlp(settings["hidden"], data.n_outputs, settings["activation"], **more, **given)
    how = settings.get("embed_numbers") or "none"
    numbers = embed_numbers(how, data.train.x, data.numbers, data.codes, where=f"{data.name}: embed_numbers={how}")
    return [*Embedding.of_codes(data.codes), *numbers, *layers]


def make_network(program: Program, members: Sequence[Member], layers: Sequence[Layer] | None = None) -> Network:
    """The stack with its initial weights, of the layers of `make_layers`."""
    layers, n_inputs = layers or make_layers(program, members), program.pool.data.n_inputs
    shape: dict[str, Any] = {"replicas": len(members), "backend": program.backend, "dtype": program.dtype}
    network = Network(layers, n_inputs, rng=[replica_seeds(m.weight_seed, 1)[0] for m in members], **shape)
    if any("init_scale" in member.settings for member in members):
        scale = network.per_replica("init_scale", _column(members, "init_scale", 1.0))
        weights = network.theta[:, : network.n_weights]
        with np.errstate(over="ignore"):  # such a network diverges at its first step
            network.backend.xp.multiply(weights, scale, out=weights)
    network.link = make_loss(program, members).link_for(program.pool.data.task)
    return network


def describe_stack(program: Program, members: Sequence[Member]) -> dict[str, Any]:
    """The stack, as `io.networks` has it; nothing where a layer of the user's can't be described."""
    try:
        return describe_network(make_network(program, members))
    except ConfigError:
        return {}


def make_loss(program: Program, members: Sequence[Member]) -> Loss:
    """The loss; its label smoothing may differ between members."""
    loss = get_loss(members[0].settings["loss"])
    smoothing = _column(members, "label_smoothing", 0.0)
    if isinstance(loss, SoftmaxCrossEntropy):
        return SoftmaxCrossEntropy(class_weight=program.class_weight, label_smoothing=smoothing)
    if smoothing.any():
        raise ConfigError(f"sweep: label_smoothing needs the loss {SoftmaxCrossEntropy.name!r}, got {loss.name!r}")
    return type(loss)(class_weight=program.class_weight)


def make_optimizer(members: Sequence[Member]) -> Optimizer:
    """The optimizer with one value per member of each hyper-parameter that is given."""
    settings = members[0].settings
    hyper = {key: _column(members, key) for key in OPTIMIZER_KEYS if key in settings}
    return get_optimizer(settings["optimizer"], **hyper)


def _schedule(members: Sequence[Member]) -> Schedule:
    settings = members[0].settings
    columns = {key: _column(members, key) for key in SCHEDULE_KEYS if key in settings}
    return make_schedule(settings["schedule"], columns)


def make_trainer(program: Program, members: Sequence[Member], paused: Paused | None = None) -> Trainer:
    """The stack of these members, ready to train, each from where it is if it is paused. They are of one bucket."""
    settings, pool = members[0].settings, program.pool
    folds = None if pool.folds is None else [pool.folds[member.fold or 0] for member in members]
    samples = Samples.of(
        pool.data,
        sample_weight=pool.sample_weight,
        train_rows=None if folds is None else [rows[0] for rows in folds],
        val_rows=None if folds is None else [rows[1] for rows in folds],
    )
    recipe = Recipe(
        epochs=settings["epochs"],
        batch_size=settings["batch_size"],
        schedule=_schedule(members),
        l2=_column(members, "l2", 0.0),
        l1=_column(members, "l1", 0.0),
        clip_norm=_column(members, "clip_norm") if "clip_norm" in settings else None,
        patience=settings["patience"],
        monitor=program.monitor,
        execution=program.execution
        if program.execution != "compiled" or not why_not()
        else "auto",  # a worker may lack it
    )
    shape: dict[str, Any] = {"replicas": len(members), "backend": program.backend, "dtype": program.dtype}
    layers = make_layers(program, members)
    expect_training(layers, pool.data.n_inputs, make_optimizer(members), **shape)
    trainer = Trainer(
        make_network(program, members, layers),
        make_loss(program, members),
        make_optimizer(members),
        samples,
        recipe,
        shuffles=_orders(members, paused),
    )
    if paused is not None:
        go_on(trainer, [member.index for member in members], paused)
    return trainer


def _orders(members: Sequence[Member], paused: Paused | None) -> list[np.random.Generator]:
    """Each member's stream of orders; those of equal seed and age share one."""
    ages = {} if paused is None else dict(zip(paused.members, paused.ages.tolist(), strict=True))
    made: dict[tuple[int, int], np.random.Generator] = {}
    found = []
    for member in members:
        key = member.order_seed, ages.get(member.index, 0)
        if key not in made:
            made[key] = stream(replica_seeds(member.order_seed, 1)[0], "shuffle")
        found.append(made[key])
    return found


def _column(members: Sequence[Member], key: str, default: Any = None) -> np.ndarray:
    """One setting of every member (R,)."""
    return np.array([member.settings.get(key, default) for member in members], dtype=float)


def settings_for(settings: Configuration, pool: Pool) -> Configuration:
    """With what depends on the data: the loss that suits the targets, a batch no larger than the training part."""
    folds = [None] if pool.folds is None else range(len(pool.folds))
    smallest = min(pool.sizes(fold)[0] for fold in folds)
    return {"loss": DEFAULT_LOSSES[pool.data.task], "batch_size": min(64, smallest)} | settings
