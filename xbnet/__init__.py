"""Neural networks for vectors, written out by hand, stacked by design, on any array backend.

The legend of every docstring: R replicas, B batch, I inputs, O outputs, C classes, P parameters of one replica.
Arrays are 3-D inside: x (R, B, I), where R = 1 means shared by all replicas; W (R, I, O), b (R, 1, O),
logits (R, B, C), labels (R or 1, B). A `d` in front of a name is the gradient of the loss by it. Rows are samples.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import backends as backends
    from . import datasets as datasets
    from . import errors as errors
    from . import estimators as estimators
    from . import history as history
    from . import io as io
    from . import nn as nn
    from . import optim as optim
    from . import plots as plots
    from . import replicas as replicas
    from . import sweeps as sweeps
    from . import training as training
    from . import verify as verify
    from .backends.backend import Backend, get_backend
    from .datasets import Dataset, Part, load_dataset
    from .errors import BackendError, ConfigError, DataError, DivergenceError, GradientError, ShapeError, XbnetError
    from .estimators import XBClassifier as XBClassifier
    from .estimators import XBRegressor as XBRegressor
    from .estimators.halving import StackedHalvingSearchCV as StackedHalvingSearchCV
    from .estimators.optuna_search import StackedOptunaSearchCV as StackedOptunaSearchCV
    from .estimators.search import StackedSearchCV as StackedSearchCV
    from .history import History
    from .io.ensembles import Ensemble
    from .io.models import Model, load, load_model, save
    from .nn.activations import Activation
    from .nn.layers import (
        BATCH,
        BatchNorm,
        Dropout,
        Layer,
        LayerNorm,
        Linear,
        MemberOutputs,
        Members,
        Parametric,
        PReLU,
        Residual,
        Scale,
        SharedLinear,
    )
    from .nn.layers.tables import Embedding, PeriodicEmbedding, PiecewiseLinearEmbedding, quantile_bins
    from .nn.losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
    from .nn.mlp import mlp
    from .nn.network import Network
    from .nn.parameters import ParameterSpec
    from .nn.sharing import sharing_mlp
    from .optim.optimizer import Optimizer
    from .optim.optimizers import SGD, Adam, AdamW, Momentum, Nesterov, RMSProp
    from .optim.strategies import Alternating, Layerwise, Strategy, Weighted
    from .replicas import replica_seeds
    from .reports import Report, compare, report
    from .sweeps import SweepResult, assert_replica_equal, sweep
    from .training.evaluation import evaluate
    from .training.fit import fit
    from .training.rates import find_lr
    from .training.recipe import Recipe
    from .training.step import Step
    from .verify import (
        GradientComparison,
        TrainingVerification,
        Verification,
        compare_gradients,
        gradient_test,
        jacobian,
        jacobian_test,
        numerical_gradient,
        training_test,
    )
    from .version import __version__ as __version__

__all__ = [
    "BATCH",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "Alternating",
    "Backend",
    "BackendError",
    "BatchNorm",
    "BinaryCrossEntropy",
    "ConfigError",
    "DataError",
    "Dataset",
    "DivergenceError",
    "Dropout",
    "Embedding",
    "Ensemble",
    "GradientComparison",
    "GradientError",
    "History",
    "Layer",
    "LayerNorm",
    "Layerwise",
    "Linear",
    "Loss",
    "MeanSquaredError",
    "MemberOutputs",
    "Members",
    "Model",
    "Momentum",
    "Nesterov",
    "Network",
    "Optimizer",
    "PReLU",
    "ParameterSpec",
    "Parametric",
    "Part",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "RMSProp",
    "Recipe",
    "Report",
    "Residual",
    "Scale",
    "ShapeError",
    "SharedLinear",
    "SoftmaxCrossEntropy",
    "Step",
    "Strategy",
    "SweepResult",
    "TrainingVerification",
    "Verification",
    "Weighted",
    "XbnetError",
    "assert_replica_equal",
    "compare",
    "compare_gradients",
    "evaluate",
    "find_lr",
    "fit",
    "get_backend",
    "gradient_test",
    "jacobian",
    "jacobian_test",
    "load",
    "load_dataset",
    "load_model",
    "mlp",
    "numerical_gradient",
    "quantile_bins",
    "replica_seeds",
    "report",
    "save",
    "sharing_mlp",
    "sweep",
    "training_test",
]

PARTS = {
    "nn.activations": "Activation",
    "backends.backend": "Backend get_backend",
    "io.ensembles": "Ensemble",
    "io.models": "Model load load_model save",
    "datasets": "Dataset Part load_dataset",
    "errors": "BackendError ConfigError DataError DivergenceError GradientError ShapeError XbnetError",
    "estimators": "XBClassifier XBRegressor",
    "training.evaluation": "evaluate",
    "history": "History",
    "nn.layers": "BATCH BatchNorm Dropout Layer LayerNorm Linear MemberOutputs Members PReLU Parametric "
    "Residual Scale SharedLinear",
    "nn.layers.tables": "Embedding PeriodicEmbedding PiecewiseLinearEmbedding quantile_bins",
    "nn.losses": "BinaryCrossEntropy Loss MeanSquaredError SoftmaxCrossEntropy",
    "nn.mlp": "mlp",
    "nn.sharing": "sharing_mlp",
    "nn.network": "Network",
    "optim.optimizer": "Optimizer",
    "optim.optimizers": "SGD Adam AdamW Momentum Nesterov RMSProp",
    "nn.parameters": "ParameterSpec",
    "replicas": "replica_seeds",
    "reports": "Report compare report",
    "estimators.halving": "StackedHalvingSearchCV",
    "estimators.optuna_search": "StackedOptunaSearchCV",
    "estimators.search": "StackedSearchCV",
    "optim.strategies": "Alternating Layerwise Strategy Weighted",
    "sweeps": "SweepResult assert_replica_equal sweep",
    "training.fit": "fit",
    "training.rates": "find_lr",
    "training.recipe": "Recipe",
    "training.step": "Step",
    "verify": "GradientComparison TrainingVerification Verification compare_gradients gradient_test jacobian "
    "jacobian_test numerical_gradient training_test",
    "version": "__version__",
}
"""Which part of the package has which names. A part is imported when one of its names is asked for: so that help, and
whoever needs little of the package, need not wait for all of it."""

LATE = {name: part for part, names in PARTS.items() for name in names.split()}


if not TYPE_CHECKING:  # so that a type checker sees a name that is none

    def __getattr__(name: str) -> object:
        """Import the part that a name lives in, or the part of that name."""
        if name not in LATE:
            if not name.startswith("_") and find_spec(f".{name}", __name__):
                return import_module(f".{name}", __name__)
            raise AttributeError(f"module 'xbnet' has no attribute {name!r}")
        try:
            value = getattr(import_module(f".{LATE[name]}", __name__), name)
        except ImportError as error:
            if (error.name or "").partition(".")[0] != "sklearn":
                raise
            raise ImportError(f"xbnet.{name} needs scikit-learn: pip install scikit-learn") from None
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE, "plots"})
