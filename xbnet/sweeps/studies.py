"""Optuna's studies: a space as it has it, a sampler by its name, and what is asked of the library."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import BackendError, ConfigError, unknown_name
from .distributions import Distribution, Integers, LogIntegers, LogUniform, as_distribution
from .space import Configuration, shown

SAMPLERS = ("tpe", "random")


def optuna() -> Any:
    """The library, which is an extra."""
    try:
        import optuna
    except ImportError:
        raise BackendError("sweep: sampler needs Optuna; install it with: pip install optuna") from None
    return optuna


class Space:
    """A space as Optuna has it.

    Parameters
    ----------
    space
        Key -> list, distribution (one of Optuna's, too) or single value, as `sweep` takes it.
    where
        Who complains.

    Attributes
    ----------
    distributions
        Key -> distribution of Optuna, of those that vary.
    """

    def __init__(self, space: Any, where: str = "sweep"):
        self._where = where
        if not isinstance(space, Mapping):
            raise ConfigError(f"{where}: a sampler needs a space {{key: values}}, got a list of configurations")
        self.distributions: dict[str, Any] = {}
        self._fixed: Configuration = {}
        self._values: dict[str, dict[Any, Any]] = {}
        for key, values in space.items():
            kinds = optuna().distributions
            own = values if isinstance(values, kinds.BaseDistribution) else as_distribution(values)
            if isinstance(own, kinds.CategoricalDistribution):
                self.distributions[key] = self._choices(key, list(own.choices))
            elif own is not None:
                self.distributions[key] = self._distribution(key, own)
            elif isinstance(values, (list, tuple, range, np.ndarray)):
                self.distributions[key] = self._choices(key, list(values))
            else:
                self._fixed[key] = values
        if not self.distributions:
            raise ConfigError(f"{where}: a sampler needs a key that varies, got none")

    def _choices(self, key: str, values: list[Any]) -> Any:
        plain = [value.item() if isinstance(value, np.generic) else value for value in values]
        if all(value is None or isinstance(value, (bool, int, float, str)) for value in plain):
            named = {value: value for value in plain}
        else:  # Optuna keeps nothing else: widths and objects go by what a table calls them
            named = {shown(tuple(v) if isinstance(v, list) else v): v for v in plain}
        if len(named) < len(plain) or not named:
            raise ConfigError(f"{self._where}: expected different values of {key}, got {values}")
        self._values[key] = named
        return optuna().distributions.CategoricalDistribution(list(named))

    def _distribution(self, key: str, own: object) -> Any:
        kinds = optuna().distributions
        if isinstance(own, kinds.BaseDistribution):
            return own
        if not isinstance(own, Distribution):
            raise ConfigError(
                f"{self._where}: a sampler takes distributions like loguniform:1e-4,1 of {key}, got one of scipy.stats"
            )
        log = isinstance(own, LogUniform)
        if isinstance(own, (Integers, LogIntegers)):
            return kinds.IntDistribution(int(own.low), int(own.high), log=log)
        return kinds.FloatDistribution(own.low, own.high, log=log)

    def row(self, params: Mapping[str, Any]) -> Configuration:
        """The configuration of a trial."""
        return self._fixed | {key: self._values.get(key, {}).get(value, value) for key, value in params.items()}


def examples(space: Mapping[str, object] | Sequence[Configuration]) -> object:
    """The space with a list of values in the place of each distribution of Optuna: its ends, or its choices."""
    if not isinstance(space, Mapping):
        raise ConfigError("sweep: a sampler needs a space {key: values}, got a list of configurations")
    found, kinds = dict(space), optuna().distributions
    for key, values in space.items():
        if isinstance(values, kinds.CategoricalDistribution):
            found[key] = list(values.choices)
        elif isinstance(values, kinds.BaseDistribution):
            found[key] = [values.low, values.high]
    return found


def make_study(sampler: Any, direction: str, rng: int, where: str = "sweep") -> Any:
    """The study of a sampler's name, or of one of Optuna's; a study comes back as it is, if it goes the right way."""
    library = optuna()
    if isinstance(sampler, library.Study):
        found = [one.name.lower() for one in sampler.directions]
        if found != [direction]:
            raise ConfigError(f"{where}: expected a study whose direction is {direction!r}, got {' and '.join(found)}")
        return sampler
    if isinstance(sampler, str):
        if sampler not in SAMPLERS:
            raise unknown_name(where, "sampler", sampler, SAMPLERS)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they call some arguments experimental
            rng %= 2**32  # NumPy's old generators, which Optuna has, take no larger one
            if sampler == "random":
                sampler = library.samplers.RandomSampler(seed=rng)
            else:  # many trials are open at a time: those without a value yet shall not be asked for again
                sampler = library.samplers.TPESampler(seed=rng, multivariate=True, constant_liar=True)
    if not isinstance(sampler, library.samplers.BaseSampler):
        names = ", ".join(SAMPLERS)
        raise ConfigError(f"{where}: expected sampler to be {names}, or a sampler or study of Optuna, got {sampler!r}")
    before = library.logging.get_verbosity()
    library.logging.set_verbosity(library.logging.WARNING)
    try:
        return library.create_study(sampler=sampler, direction=direction, pruner=library.pruners.NopPruner())
    finally:
        library.logging.set_verbosity(before)


def tell(study: Any, trial: object, *value: float, **state: object) -> bool:
    """Tell a study of a trial that has ended; whether its sampler has nothing left to propose, as that of a grid."""
    try:
        study.tell(trial, *value, **state)
    except RuntimeError as error:  # it stops `Study.optimize`, which doesn't run here; the trial is told all the same
        if "stop" not in str(error):
            raise
        return True
    return False
