"""How far the members of a model lie apart: a measure of how sure it is."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from ..datasets import Scaler, Schema
from ..nn.network import Network
from ..nn.predictor import member_values, spread


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
