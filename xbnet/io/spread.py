"""How far the members of a model lie apart: a measure of how sure it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ..backends.arrays import Rows
from ..datasets import Scaler, Schema
from ..errors import ConfigError
from ..nn.network import Network
from ..nn.outputs import LINKS
from ..nn.predictor import Predictor


class HasMembers:
    """What a model and an ensemble have in common: members, whose answers are averaged."""

    schema: Schema | None

    @property
    @abstractmethod
    def target_scale(self) -> tuple[np.ndarray, np.ndarray] | None:
        """See `Model`."""

    @abstractmethod
    def stacks(self) -> list[tuple[Network, Scaler | None]]:
        """The networks, and the scaler of the inputs of each after the schema, if there is one."""

    def predict_std(self, x: Any) -> np.ndarray:
        """How far the members lie apart: the standard deviation of their probabilities (N, C) or values (N, O).

        Parameters
        ----------
        x
            The same as in `predict_proba`.

        Returns
        -------
        array
            (N, C) or (N, O), in the targets' units.

        Raises
        ------
        ConfigError
            There is but one network, without members that share its weights.
        """
        return self.std_of_encoded(np.asarray(x) if self.schema is None else self.schema.encode(x))

    def std_of_encoded(self, x: np.ndarray) -> np.ndarray:
        """Return the same as `predict_std`, for inputs (N, I) that the schema has encoded, if there is one."""
        values = [member_values(net, x if prepare is None else prepare(x)) for net, prepare in self.stacks()]
        found = spread(np.concatenate(values).astype(float))
        return found if self.target_scale is None else found * self.target_scale[1]


def member_values(network: Network, x: Rows) -> np.ndarray:
    """The link's values (M, N, C) of each member for host rows x (N, I): R replicas of k that share their weights."""
    link, last, R = LINKS[network.link][0], network.layers[-1], network.replicas
    k, C = last.answers, network.n_outputs
    with network.exclusive():
        try:
            vars(last)["apart"] = True  # see `MemberOutputs`
            values = Predictor(network).run(x, lambda z: link(z.reshape(*z.shape[:2], k, C)))
        finally:
            vars(last).pop("apart", None)
    values = values.reshape(R, -1, k, C)
    return values.swapaxes(1, 2).reshape(R * k, -1, C)


def spread(values: np.ndarray) -> np.ndarray:
    """The standard deviation (N, C) of members' values (M, N, C); `ConfigError` where there is but one."""
    if len(values) == 1:
        raise ConfigError(
            "predict_std: expected several members, got one network; train with --replicas N or --sharing tabm, or use "
            "an ensemble (--members become one network)"
        )
    return values.std(axis=0)
