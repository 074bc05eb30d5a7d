"""The space of a sweep: which configurations there are, and what a key may be."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, unknown_name
from ..nn.activations import get_activation
from ..nn.layers.build import MOST_LAYERS
from ..nn.losses import get_loss
from ..nn.sharing import SHARING
from ..optim.optimizers import OPTIMIZERS, get_optimizer
from ..optim.schedules import SCHEDULES, get_schedule
from ..parsing import is_whole, number, whole
from .distributions import as_distribution, draw

Configuration = dict[str, Any]

SEEDS = ("seed", "weight_seed", "order_seed")
OPTIMIZER_KEYS = tuple(dict.fromkeys(key for kind in OPTIMIZERS.values() for key in kind().hyper))


def _schedule_keys(schedule: Any) -> list[str]:
    """List the numeric settings of a schedule or its class; `schedule` itself tells what follows a warmup."""
    return [f"schedule.{field.name}" for field in dataclasses.fields(schedule) if field.name != "then"]


SCHEDULE_KEYS = tuple(dict.fromkeys(key for kind in SCHEDULES.values() for key in _schedule_keys(kind)))
RANGES = {
    "l1": "[0, inf)",
    "l2": "[0, inf)",
    "dropout": "[0, 1)",
    "clip_norm": "(0, inf)",
    "label_smoothing": "[0, 1)",
    "init_scale": "[0, inf)",
}
PER_REPLICA = (*OPTIMIZER_KEYS, *SCHEDULE_KEYS, *RANGES, *SEEDS)
"""Keys in which the networks of one stack may differ."""

NETWORK_KEYS = (
    "hidden",
    "width",
    "depth",
    "residual",
    "activation",
    "batch_norm",
    "sharing",
    "members",
    "embed_numbers",
)
SHAPES = (*NETWORK_KEYS, "batch_size", "loss", "optimizer", "schedule", "epochs", "patience")
"""Keys that change shapes or the program: their values sort configurations into buckets."""

DEFAULTS: Configuration = {
    "hidden": (10, 7),
    "residual": 0,
    "activation": "tanh",
    "batch_norm": False,
    "optimizer": "sgd",
    "schedule": "constant",
    "epochs": 100,
    "patience": None,
}


def configurations(space: Any, draws: int | None, rng: np.random.Generator) -> list[Configuration]:
    """The configurations of a space.

    Parameters
    ----------
    space
        Key -> list of alternatives, distribution or single value; or a list of configurations, taken as they are.
    draws
        How many to draw at random; None: all combinations of the alternatives.
    rng
        For the draws.
    """
    if isinstance(space, Mapping):
        return _from_mapping(space, draws, rng)
    if isinstance(space, (str, bytes)) or not isinstance(space, Sequence):
        raise ConfigError(f"sweep: expected a space {{key: [values]}} or a list of such rows, got {space!r}")
    if draws is not None:
        raise ConfigError("sweep: draws needs a space {key: distribution}, got a list of configurations")
    if not space:
        raise ConfigError("sweep: expected at least one configuration, got an empty list")
    for row in space:
        if not isinstance(row, Mapping):
            raise ConfigError(f"sweep: expected configurations like {{'lr': 0.1}}, got {row!r}")
    return [{key: _plain(value) for key, value in row.items()} for row in space]


def count_configurations(space: Any, draws: Any) -> float:
    """How many configurations a space has, before any is made; `configurations` checks what this takes for granted."""
    if draws is not None:
        return draws if is_whole(draws) else 1
    if isinstance(space, Mapping):
        return math.prod(map(_length, space.values()))
    return _length(space)


def _length(values: Any) -> float:
    try:
        return len(values) if isinstance(values, (list, tuple, range, np.ndarray)) else 1
    except OverflowError:  # of a range
        return math.inf


def listed_values(space: Any, row: Configuration) -> Iterator[Configuration]:
    """The configuration `row` once with each value that a space lists: what might have been drawn."""
    if isinstance(space, Mapping):
        for key, values in space.items():
            for value in values if isinstance(values, (list, tuple, range, np.ndarray)) else ():
                yield row | {key: _plain(value)}


def _from_mapping(space: Mapping[str, Any], draws: int | None, rng: np.random.Generator) -> list[Configuration]:
    alternatives: dict[str, Any] = {}
    for key, values in space.items():
        distribution = as_distribution(values)
        if distribution is not None:
            if draws is None:
                raise ConfigError(f"sweep: {key} is a distribution; give the number of configurations to draw: draws=N")
            alternatives[key] = distribution
            continue
        many = isinstance(values, (list, tuple, range, np.ndarray))
        alternatives[key] = [_plain(value) for value in values] if many else [_plain(values)]
        if not alternatives[key]:
            raise ConfigError(f"sweep: expected at least one value of {key}, got none")
    if draws is None:
        rows = itertools.product(*alternatives.values())
        return [dict(zip(alternatives, row, strict=True)) for row in rows]
    draws = whole("sweep", "draws", draws)
    return [
        {
            key: values[rng.integers(len(values))] if isinstance(values, list) else draw(values, rng)
            for key, values in alternatives.items()
        }
        for _ in range(draws)
    ]


def _plain(value: Any) -> Any:
    """NumPy scalars as Python has them, lists as tuples, the text "none" as None: values that compare well."""
    if isinstance(value, str) and value == "none":  # TOML has no other word for it
        return None
    if isinstance(value, np.generic):
        return value.item()
    return tuple(_plain(v) for v in value) if isinstance(value, (list, tuple, np.ndarray)) else value


def complete(configuration: Configuration, fixed: Configuration, custom: Sequence[str] | None) -> Configuration:
    """All settings of a configuration, checked; `width` and `depth` become `hidden`.

    Parameters
    ----------
    configuration, fixed
        Values from the space, and those that all share; the former win.
    custom
        Keys that the user's own function of layers takes, which then take the place of the network's keys; None:
        there is no such function.
    """
    given = fixed | configuration
    if custom is None:
        known: tuple[str, ...] = (*SHAPES, *PER_REPLICA)
    else:
        known = (*(key for key in (*SHAPES, *PER_REPLICA) if key not in (*NETWORK_KEYS, "dropout")), *custom)
    for key in given:
        if key not in known:
            raise unknown_name("sweep", "key", key, known)
    settings = {key: value for key, value in DEFAULTS.items() if key in known} | given
    if custom is None:
        _network(settings, given)
    _shapes(settings)
    _numbers(settings)
    return settings


def _network(settings: Configuration, given: Configuration) -> None:
    """Check what describes the default network; afterwards `hidden` is a tuple of widths."""
    width, depth = settings.pop("width", None), settings.pop("depth", None)
    if width is not None or depth is not None:
        if "hidden" in given:
            raise ConfigError("sweep: give either hidden, or width and depth, got both")
        width = whole("sweep", "width", 10 if width is None else width)
        settings["hidden"] = (width,) * whole("sweep", "depth", depth or 1, most=MOST_LAYERS)
    hidden = settings["hidden"]
    if isinstance(hidden, str) and hidden != "none":
        raise ConfigError(f"sweep: expected hidden to be a width like 20, or widths like [10, 7], got {hidden!r}")
    hidden = hidden if isinstance(hidden, (tuple, list)) else () if hidden in (None, "none", 0) else (hidden,)
    settings["hidden"] = tuple(whole("sweep", "hidden", one) for one in hidden)
    settings["residual"] = whole("sweep", "residual", settings["residual"], least=0)
    if not isinstance(settings["batch_norm"], bool):
        raise ConfigError(f"sweep: expected batch_norm to be true or false, got {settings['batch_norm']!r}")
    get_activation(settings["activation"])
    sharing = settings.get("sharing") or "none"
    settings |= {"sharing": sharing} if "sharing" in settings else {}
    if sharing not in SHARING:
        raise unknown_name("sweep", "sharing", sharing, SHARING)
    embedding = settings.get("embed_numbers") or "none"
    if embedding == "piecewise_linear":
        words = "expected embed_numbers as none or periodic, got 'piecewise_linear'"
        raise ConfigError(f"sweep: {words}; its bins are of one training part, for xbnet train")
    if embedding not in ("none", "periodic"):
        raise unknown_name("sweep", "embed_numbers", embedding, ("none", "periodic"))
    members = whole("sweep", "members", settings.get("members", 1))
    if members > 1 and sharing == "none":
        raise ConfigError(
            f"sweep: members={members} need sharing=tabm or tabm-mini; for networks of their own, give seeds"
        )
    if sharing != "none" and (settings["residual"] or settings["batch_norm"]):
        raise ConfigError(f"sweep: sharing={sharing} is of plain hidden layers, got residual or batch_norm too")


def _shapes(settings: Configuration) -> None:
    """Check the rest of what sorts into buckets."""
    for key in ("epochs", "batch_size", "patience"):
        if key in settings:
            value = None if key == "batch_size" and settings[key] == "full" else settings[key]
            settings[key] = value if value is None and key != "epochs" else whole("sweep", key, value)
    if "loss" in settings:
        get_loss(settings["loss"])


def _numbers(settings: Configuration) -> None:
    """Check the values that may differ within a stack."""
    for key, bounds in RANGES.items():
        value = settings.get(key)
        if value is None:
            settings.pop(key, None)
            continue
        number("sweep", key, value, bounds)
    for key in SEEDS:
        if key in settings:
            whole("sweep", key, settings[key], least=0, most=None)
    if "seed" in settings and ("weight_seed" in settings or "order_seed" in settings):
        raise ConfigError("sweep: give either seed, or weight_seed and order_seed, got both")
    hyper = {key: number("sweep", key, settings[key]) for key in OPTIMIZER_KEYS if key in settings}
    get_optimizer(settings["optimizer"], **hyper)
    make_schedule(settings["schedule"], {key: settings[key] for key in SCHEDULE_KEYS if key in settings})


def shown(value: object, digits: int = 4) -> str:
    """A value for people: ``0.0123``, ``10-7`` for widths, ``none``."""
    if isinstance(value, float):
        return f"{value:.{digits}g}"
    if isinstance(value, tuple):
        return "-".join(map(shown, value)) or "none"
    return "none" if value is None else str(getattr(value, "name", value))


def make_schedule(name: Any, settings: Mapping[str, Any]) -> Any:
    """The schedule of that name, with settings ``schedule.KEY`` that are numbers or one per replica."""
    schedule = get_schedule(name)
    known = _schedule_keys(schedule)
    for key, value in settings.items():
        if key not in known:
            raise unknown_name(f"sweep: schedule {name!r}", "key", key, known)
        if np.ndim(value) == 0:
            number("sweep", key, value)
    return dataclasses.replace(schedule, **{key.partition(".")[2]: value for key, value in settings.items()})
