"""Strategies: which parameters move in which epoch, and how much.

A strategy sees the network as stages. Every layer that has weights begins a stage, and layers without weights
(dropout, normalization) belong to the stage before them. The last stage is the classifier, the others are the body.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import ConfigError, unknown_name
from ..nn.network import Network
from ..parsing import check_keys, number, parse_number, parse_settings, whole
from .stages import GradientMask, stages

TrainStage = Callable[[Network, "Strategy", int], Any]
"""``train(network, strategy, epochs) -> History``: what `fit` hands to `Strategy.prepare`."""


class Strategy:
    """Joint training, and the base of all strategies: every parameter moves in every epoch.

    Examples
    --------
    >>> Strategy().factors(None, 0) is None  # every gradient is taken as it is
    True
    """

    name = "joint"

    def prepare(self, network: Network, train: TrainStage) -> list[Any]:
        """Do the work before the first epoch: train `network` by `train`.

        Parameters
        ----------
        network
            All replicas.
        train
            Trains a network under a strategy for some epochs, and returns its history.

        Returns
        -------
        list of History
        """
        self.factors(network, 0)  # raises where the network does not suit the strategy
        return []

    def factors(self, network: Network, epoch: int) -> np.ndarray | None:
        """Return the factors of the gradient in an epoch.

        Parameters
        ----------
        network
            All replicas.
        epoch
            Its number, from 0.

        Returns
        -------
        numpy.ndarray or None
            A factor per stage; 0 keeps the stage's parameters as they are. None: all are 1.
        """
        return None

    def restarts(self, epoch: int) -> bool:
        """Whether the optimizer's state is reset before epoch (from 0)."""
        return False

    def set_mask(self, mask: GradientMask, epoch: int) -> bool:
        """Set mask (that of the network's gradient) to the factors of epoch (from 0); False: all factors are 1."""
        factors = self.factors(mask.network, epoch)
        if factors is None:
            return False
        n = len(stages(mask.network))
        if np.shape(factors) != (n,) or not np.isfinite(factors).all():
            raise ConfigError(f"strategy {self.name!r}: expected {n} finite factors, one per stage, got {factors!r}")
        mask.set(factors)
        return True

    def config(self) -> dict[str, Any]:
        """The arguments that recreate this strategy."""
        return dict(vars(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.config().items())})"


class Alternating(Strategy):
    """The classifier for some epochs, then the body for as many, and so on.

    The optimizer begins every turn afresh: averages from before the pause would belong to another problem.

    Parameters
    ----------
    every
        Epochs of a turn, >= 1.

    Examples
    --------
    >>> import xbnet
    >>> network = Network([xbnet.Linear(8, "tanh"), xbnet.Linear(3)], n_inputs=4)
    >>> [Alternating(every=2).factors(network, epoch).tolist() for epoch in (0, 1, 2)]  # body, classifier
    [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]
    """

    name = "alternating"

    def __init__(self, every: int = 1):
        self.every = whole("strategy 'alternating'", "every", every)

    def factors(self, network: Network, epoch: int) -> np.ndarray:
        n = _stages_with_body(self.name, network)
        body = epoch // self.every % 2
        return np.array([body] * (n - 1) + [1 - body], float)

    def restarts(self, epoch: int) -> bool:
        return epoch > 0 and epoch % self.every == 0


class Weighted(Strategy):
    """A factor on the gradient of each stage; with plain SGD, a learning rate per stage.

    Optimizers that divide by the gradient's size (Adam, RMSProp) undo any factor but 0.

    Parameters
    ----------
    ratio
        > 0: the classifier's factor is 1, and each stage before has `ratio` times that of the one after it.
    factors
        Instead of `ratio`: one factor >= 0 per stage; 0 freezes it.

    Examples
    --------
    >>> import xbnet
    >>> network = Network([xbnet.Linear(8, "tanh"), xbnet.Linear(8, "tanh"), xbnet.Linear(3)], n_inputs=4)
    >>> Weighted(ratio=0.5).factors(network, 0).tolist()
    [0.25, 0.5, 1.0]
    """

    name = "weighted"

    def __init__(self, ratio: float | None = None, factors: Sequence[float] | None = None):
        if (ratio is None) == (factors is None):
            raise ConfigError("strategy 'weighted': expected either ratio or factors")
        if factors is not None and not all(0 <= f < np.inf for f in factors):
            raise ConfigError(f"strategy 'weighted': expected factors >= 0, got {factors!r}")
        self.ratio = None if ratio is None else number("strategy 'weighted'", "ratio", ratio, "(0, inf)")
        self.stage_factors = None if factors is None else tuple(float(f) for f in factors)

    def factors(self, network: Network, epoch: int) -> np.ndarray:
        n = len(stages(network))
        if self.stage_factors is None:
            return float(self.ratio or 1) ** np.arange(n - 1, -1, -1)
        if len(self.stage_factors) != n:
            raise ConfigError(
                f"strategy 'weighted': expected {n} factors, one for each layer with weights, "
                f"got {len(self.stage_factors)}"
            )
        return np.array(self.stage_factors)

    def config(self) -> dict[str, Any]:
        return {"ratio": self.ratio} if self.stage_factors is None else {"factors": self.stage_factors}


class NewStage(Weighted):
    """Only a new stage after `earlier` ones, and the classifier, move, for `epochs` epochs, which checkpoints note."""

    def __init__(self, earlier: int, epochs: int):
        super().__init__(factors=[0.0] * earlier + [1.0, 1.0])
        self.earlier, self.epochs = earlier, epochs

    def config(self) -> dict[str, Any]:
        return {"earlier": self.earlier, "epochs": self.epochs}


class Layerwise(Strategy):
    """Greedy: the network grows by a stage at a time, and is trained as a whole in the end.

    Each time, the new stage and a fresh classifier on top of it are trained while the earlier stages are frozen
    (Bengio et al. 2007, "Greedy layer-wise training of deep networks", supervised). The epochs of `fit` are those
    of the end; `History.stages` holds the histories before it.

    Parameters
    ----------
    epochs
        For each new stage, >= 1.

    Examples
    --------
    >>> import xbnet
    >>> data = xbnet.load_dataset("gmm")
    >>> network = Network([xbnet.Linear(8, "tanh"), xbnet.Linear(8, "tanh"), xbnet.Linear(5)], n_inputs=5, rng=0)
    >>> history = xbnet.fit(network, "cross_entropy", "sgd", data, epochs=1, batch_size=1000, strategy=Layerwise(1))
    >>> len(history.stages), len(history)  # one run for each new stage, then the whole network's
    (2, 1)
    """

    name = "layerwise"

    def __init__(self, epochs: int = 5):
        self.epochs = whole("strategy 'layerwise'", "epochs", epochs)

    def prepare(self, network: Network, train: TrainStage) -> list[Any]:
        n = _stages_with_body(self.name, network)
        parts = stages(network)
        histories = []
        for s in range(n - 1):
            body = [network.layers[k] for layers in parts[: s + 1] for k in layers]
            head = [network.layers[k] for k in parts[-1]]
            grown = Network(
                [*body, *head], network.n_inputs, replicas=network.replicas, backend=network.backend,
                dtype=network.dtype, rng=network.seeds,
            )  # fmt: skip
            _copy_layers(network, grown, len(body))
            histories.append(train(grown, NewStage(s, self.epochs), self.epochs))
            _copy_layers(grown, network, len(grown.layers) if s == n - 2 else len(body))
        return histories


STRATEGIES: dict[str, type[Strategy]] = {s.name: s for s in (Strategy, Alternating, Weighted, Layerwise)}
"""By name; "joint" is `Strategy` itself."""


def get_strategy(strategy: str | Strategy | None) -> Strategy:
    """The strategy of ``NAME`` or ``NAME:key=value``; a `Strategy` is returned as it is, None is "joint".

    Parameters
    ----------
    strategy
        E.g. "alternating:every=2", "layerwise:epochs=5", "weighted:ratio=0.5" or "weighted:factors=0.1/0.5/1".

    Returns
    -------
    Strategy

    Raises
    ------
    ConfigError
        An unknown name or setting, or a value out of range.

    Examples
    --------
    >>> get_strategy("alternating:every=2")
    Alternating(every=2)
    """
    if isinstance(strategy, Strategy):
        return strategy
    text = strategy or "joint"
    name, settings = parse_settings("strategy", text) if isinstance(text, str) else (text, {})
    if not isinstance(name, str) or name not in STRATEGIES:
        raise unknown_name("strategy", "strategy", name, STRATEGIES)
    where = f"strategy {name!r}"
    check_keys(where, settings, inspect.signature(STRATEGIES[name]).parameters)
    values: dict[str, Any] = {
        key: [parse_number(where, key, f) for f in text.split("/")] if key == "factors" else _setting(where, key, text)
        for key, text in settings.items()
    }
    return STRATEGIES[name](**values)


def _stages_with_body(name: str, network: Network) -> int:
    n = len(stages(network))
    if n < 2:
        raise ConfigError(f"strategy {name!r}: expected a network with a hidden layer, got {network.layers!r}")
    return n


def _copy_layers(source: Network, target: Network, n: int) -> None:
    """Parameters and statistics of the first n layers."""
    theirs, mine = source.parameters | source.statistics, target.parameters | target.statistics
    for spec in (*target.specs, *target.state_specs):
        if spec.layer < n:
            mine[spec.name][...] = theirs[spec.name]


def _setting(where: str, key: str, text: str) -> float:
    """A number; a whole one where the text is."""
    value = parse_number(where, key, text)
    return int(value) if value.is_integer() else value
