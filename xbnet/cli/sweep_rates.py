"""`xbnet sweep --find-lr`: a hundred rates for one configuration, a proposal, and a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError
from ..files import write_text
from ..history import plain
from . import arguments as flags
from .tables import settle

GIVEN = ("batch_size", "l1", "l2", "clip_norm")
"""Settings of a configuration that `find_lr` takes."""

OF_SEVERAL = (
    *("draws", "sampler", "trials", "at_once", "folds", "halving", "min_epochs", "monitor", "dask", "workers"),
    *("memory", "ensemble", "resume"),
)
"""Flags of a sweep that have nothing to say here."""


def run_find_lr(
    args: argparse.Namespace, space: dict[str, Any], folder: Path | None, fixed: Callable[..., dict[str, Any]]
) -> int:
    """Try the rates, and tell; `fixed` says what a table has of its own."""
    from ..plots import save_figure
    from ..sweeps.build import Program, make_loss, make_network, make_optimizer, settings_for
    from ..sweeps.distributions import as_distribution
    from ..sweeps.plan import make_members
    from ..sweeps.pool import make_pool
    from ..sweeps.space import complete, configurations
    from ..training.rates import find_lr

    rates: Any = space.pop("lr", None)
    if rates is not None and not (isinstance(rates, list) and len(rates) > 1):
        raise ConfigError("--find-lr: expected rates to try, like --space lr=0.01,0.1,1; leave lr out to try a hundred")
    drawn = [key for key, value in space.items() if as_distribution(value) is not None]
    given = [name for name in OF_SEVERAL if getattr(args, name)] + ["seeds"] * (args.seeds != 1)
    given += ["executor"] * (args.executor != "threads")
    if given:
        raise ConfigError(f"--find-lr is for one configuration; leave out --{given[0].replace('_', '-')}")
    several = drawn + [key for key, value in space.items() if isinstance(value, list) and len(value) > 1]
    if several:
        raise ConfigError(f"--find-lr is for one configuration; give one value of {several[0]}")
    taken = settle(args)
    data = flags.data_from(argparse.Namespace(**vars(args) | {"scaling": "none"}), taken)
    pool = make_pool(data, None, scaling=args.scaling, rng=args.seed)
    own = {key: value for key, value in fixed(args, space, data).items() if key not in ("lr", "schedule")}
    settings = settings_for(complete(configurations(space, None, np.random.default_rng())[0], own, None), pool)
    weight = flags.class_weight_from(args.class_weight, data)
    program = Program(pool, None, None, args.backend, args.dtype, weight)
    (member,) = make_members([settings], [args.seed], None)
    found = find_lr(
        make_network(program, [member]),
        make_loss(program, [member]),
        make_optimizer([member]),
        pool.data,
        rates=rates or 100,
        execution=args.execution,
        **{key: settings[key] for key in GIVEN if key in settings},
    )
    about = {"lr": found.lr, "figure": found.figure, "steps": found.steps, "rates": plain(found.rates, 0)}
    about["losses"] = plain(found.losses, 0)
    if folder is not None:
        write_text(folder / "result.json", json.dumps(about, indent=1) + "\n")
        save_figure(found.plot(), folder / "rates.png")
    if args.json:
        print(json.dumps(about))
    elif not args.quiet:
        where = f"see {folder / 'rates.png'}" if folder is not None else "a picture of it: --out DIR"
        print(f"{pool.data.name}: {found.describe()}; {where}")
    return 0
