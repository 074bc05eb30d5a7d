"""Neural networks for vectors, written out by hand, stacked by design, on any array backend.

The legend of every docstring: R replicas, B batch, I inputs, O outputs, C classes, P parameters of one replica.
Arrays are 3-D inside: x (R, B, I), where R = 1 means shared by all replicas; W (R, I, O), b (R, 1, O),
logits (R, B, C), labels (R or 1, B). A `d` in front of a name is the gradient of the loss by it. Rows are samples.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .activations import Activation
from .backend import Backend, get_backend
from .checkpoint import Model, load, load_model, save
from .datasets import Dataset, Part, load_dataset
from .errors import BackendError, ConfigError, DataError, DivergenceError, GradientError, ShapeError, XbnetError
from .evaluation import evaluate
from .history import History
from .layers import BATCH, BatchNorm, Dropout, Layer, LayerNorm, Linear, Residual
from .losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Network
from .optimizers import SGD, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp
from .parameters import ParameterSpec
from .replicas import replica_seeds
from .strategies import Alternating, Layerwise, Strategy, Weighted
from .sweep import SweepResult, assert_replica_equal, sweep
from .training import fit

if TYPE_CHECKING:  # what these need is imported when they are asked for, see `__getattr__`
    from .verify import (
        GradientComparison,
        Verification,
        compare_gradients,
        gradient_test,
        jacobian,
        jacobian_test,
        numerical_gradient,
    )

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
    "GradientComparison",
    "GradientError",
    "History",
    "Layer",
    "LayerNorm",
    "Layerwise",
    "Linear",
    "Loss",
    "MeanSquaredError",
    "Model",
    "Momentum",
    "Nesterov",
    "Network",
    "Optimizer",
    "ParameterSpec",
    "Part",
    "RMSProp",
    "Residual",
    "ShapeError",
    "SoftmaxCrossEntropy",
    "Strategy",
    "SweepResult",
    "Verification",
    "Weighted",
    "XbnetError",
    "assert_replica_equal",
    "compare_gradients",
    "evaluate",
    "fit",
    "get_backend",
    "gradient_test",
    "jacobian",
    "jacobian_test",
    "load",
    "load_dataset",
    "load_model",
    "numerical_gradient",
    "replica_seeds",
    "save",
    "sweep",
]


LATE = {
    "StackedSearchCV": "search",
    "XBClassifier": "estimators",
    "XBRegressor": "estimators",
    **dict.fromkeys(("GradientComparison", "Verification", "compare_gradients", "gradient_test"), "verify"),
    **dict.fromkeys(("jacobian", "jacobian_test", "numerical_gradient"), "verify"),
    "__version__": "version",
}
"""Names that live in parts of the package which `import xbnet` leaves out, to stay quick."""


def __getattr__(name: str) -> object:
    """Import the part that a late name lives in."""
    if name not in LATE:
        raise AttributeError(f"module 'xbnet' has no attribute {name!r}")
    try:
        module = import_module(f".{LATE[name]}", __name__)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise ImportError(f"xbnet.{name} needs scikit-learn: pip install 'xbnet[sklearn]'") from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE})
