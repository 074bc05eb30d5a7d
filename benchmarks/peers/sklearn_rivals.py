"""scikit-learn's MLPClassifier: the step inside `fit`."""

from __future__ import annotations

import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from .cases import Case
from .rival import Rival, Unable

warnings.simplefilter("ignore", ConvergenceWarning)


class ScikitLearn(Rival):
    """A warm `fit` of several epochs: its checks of the data are a small part of the time."""

    def __init__(self, case: Case):
        super().__init__(case)
        if case.blocks or case.replicas > 1 or case.dropout is not None:
            raise Unable("no residual blocks, no stacks, no dropout, no batch normalization")
        self.x, self.y, _ = case.data()
        self.model = MLPClassifier(
            case.widths[1:-1],
            activation=case.activation,
            solver="sgd",
            alpha=0.0,
            batch_size=case.batch,
            learning_rate_init=case.lr,
            momentum=0.0,
            nesterovs_momentum=False,
            shuffle=False,
            max_iter=1,
            n_iter_no_change=10**9,
            warm_start=True,
            random_state=0,
        )
        self.model.fit(self.x, self.y)
        self.model.coefs_ = [layer["W"][0].copy() for layer in case.start()]
        self.model.intercepts_ = [layer["b"][0, 0].copy() for layer in case.start()]

    def run(self, epochs: int) -> None:
        # The first epoch is compared with the others', and goes through the data in order. After it they are shuffled,
        # because only then are the rows of a batch gathered, as everybody else does.
        self.model.set_params(max_iter=epochs).fit(self.x, self.y)
        self.model.shuffle = True

    def weights(self) -> list[dict[str, np.ndarray]]:
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [{"W": W[None], "b": b[None, None]} for W, b in pairs]

    @staticmethod
    def version() -> str:
        return f"scikit-learn {sklearn.__version__}"
