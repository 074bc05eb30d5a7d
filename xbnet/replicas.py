"""Properties of one replica: its seed, its random streams, its value of a setting. All on the host.

Replica i of a stack draws from its own stream, which does not depend on how many others there are; so a
member of a stack and the same network trained alone see the same numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .errors import ConfigError
from .parsing import is_whole

Seed = int | np.random.SeedSequence | np.random.Generator | None
Seeds = Seed | Sequence[Seed]
"""The argument of `replica_seeds`: one seed for all, or one per replica."""
PerReplica = float | Sequence[float] | np.ndarray
"""A setting: a number, or one per replica (R,)."""

PURPOSES = {"init": 0, "shuffle": 1, "dropout": 2, "split": 3, "verify": 4}


def replica_seeds(rng: Seeds, replicas: int) -> tuple[np.random.SeedSequence, ...]:
    """One seed per replica.

    Parameters
    ----------
    rng
        None (fresh entropy), an integer >= 0, a `SeedSequence` or a `Generator`, from which replica i takes the
        i-th child; or a sequence of R of these, taken as the replicas' own seeds.
    replicas
        R.

    Returns
    -------
    tuple of SeedSequence
        (R,).

    Raises
    ------
    ConfigError
        `rng` is none of these, or holds another number of seeds.

    Examples
    --------
    Replica 2 of a stack, alone:

    >>> import xbnet
    >>> alone = xbnet.Network([xbnet.Linear(2)], n_inputs=3, rng=[replica_seeds(0, 3)[2]])
    >>> stack = xbnet.Network([xbnet.Linear(2)], n_inputs=3, replicas=3, rng=0)
    >>> bool((alone.theta[0] == stack.theta[2]).all())
    True
    """
    if isinstance(rng, Sequence) and not isinstance(rng, str):
        if len(rng) != replicas:
            raise ConfigError(f"rng: expected {replicas} seeds, one per replica, got {len(rng)}")
        return tuple(_seed(one) for one in rng)
    parent = _seed(rng)
    return tuple(np.random.SeedSequence(parent.entropy, spawn_key=(*parent.spawn_key, i)) for i in range(replicas))


def _seed(rng: Seed) -> np.random.SeedSequence:
    if isinstance(rng, np.random.SeedSequence):
        return rng
    if isinstance(rng, np.random.Generator):
        return np.random.SeedSequence(int(rng.integers(2**63)))
    if rng is None or (is_whole(rng) and rng >= 0):
        return np.random.SeedSequence(rng if rng is None else int(rng))
    raise ConfigError(f"rng: expected an integer >= 0, a SeedSequence, a Generator or None, got {rng!r}")


def stream(seed: np.random.SeedSequence, purpose: str) -> np.random.Generator:
    """The generator of one replica for one purpose: "init", "shuffle", "dropout", "split" or "verify"."""
    key = (*seed.spawn_key, PURPOSES[purpose])
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=key))


def twin_stream(generator: np.random.Generator) -> np.random.Generator:
    """A generator that will draw what this one will: a `copy.deepcopy` in a tenth of the time."""
    bits = generator.bit_generator
    twin = type(bits)(bits.seed_seq)  # type: ignore[arg-type]
    twin.state = bits.state
    return np.random.Generator(twin)


def shared_streams(seeds: Sequence[np.random.SeedSequence], purpose: str) -> list[np.random.Generator]:
    """A generator per replica; replicas of equal seeds share one and the same, to be drawn from once for all."""
    made: dict[tuple[Any, ...], np.random.Generator] = {}
    keys = [(str(seed.entropy), seed.spawn_key) for seed in seeds]
    return [made.setdefault(key, stream(seed, purpose)) for key, seed in zip(keys, seeds, strict=True)]


def numbers(where: str, value: object) -> np.ndarray:
    """A number, or a sequence of them, as float64 () or (R,); None becomes NaN."""
    try:
        values = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    if values.ndim > 1:
        raise ConfigError(f"{where}: expected a number or one per replica, got {value!r}")
    return values


def replica_values(where: str, value: object, replicas: int, dtype: np.dtype | None = None) -> np.ndarray:
    """A number, or a sequence of R, as float64 (R,), within what a floating `dtype` can hold."""
    values = numbers(where, value)
    if dtype is not None:
        values = np.clip(values, np.finfo(dtype).min, np.finfo(dtype).max)
    if values.ndim == 0:
        return np.full(replicas, float(values))
    if values.shape != (replicas,):
        raise ConfigError(f"{where}: expected a number or one per replica (R={replicas}), got shape {values.shape}")
    return values


def powers(base: PerReplica, exponent: np.ndarray) -> np.ndarray:
    """base^exponent of () or (R,) and (S, 1), as (S, 1 or R), in bits that depend on neither S nor R.

    NumPy squares instead where it sees that the exponent of a whole row is 2, which rounds differently.
    """
    S, width = len(exponent), max(np.size(base), exponent.shape[1])
    bases, exponents = np.ones((2, S + 1, width))  # the row more keeps a single entry from being a scalar
    bases[:-1], exponents[:-1] = base, exponent
    return (bases**exponents)[:-1]


def select_values(value: PerReplica, index: np.ndarray) -> Any:
    """The replicas `index` of a setting that is a number or one value per replica."""
    return value if np.ndim(value) == 0 else np.asarray(value)[index]
