"""Neural networks for vectors, written out by hand, stacked by design, on any array backend.

The legend of every docstring: R replicas, B batch, I inputs, O outputs, C classes, P parameters of one replica.
Arrays are 3-D inside: x (R, B, I), where R = 1 means shared by all replicas; W (R, I, O), b (R, 1, O),
logits (R, B, C), labels (R or 1, B). A `d` in front of a name is the gradient of the loss by it. Rows are samples.
"""

from importlib.metadata import PackageNotFoundError, version

from .activations import Activation
from .backend import Backend, get_backend
from .checkpoint import Model, load, load_model, save
from .datasets import Dataset, Part, load_dataset
from .errors import BackendError, ConfigError, DataError, DivergenceError, ShapeError, XbnetError
from .history import History
from .layers import BATCH, BatchNorm, Dropout, Layer, LayerNorm, Linear, Residual
from .losses import BinaryCrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Network
from .optimizers import SGD, Adam, AdamW, Momentum, Nesterov, Optimizer, RMSProp
from .parameters import ParameterSpec
from .replicas import replica_seeds
from .sweep import SweepResult, assert_replica_equal, sweep
from .training import evaluate, fit

try:
    __version__ = version("xbnet")
except PackageNotFoundError:  # run from a checkout that was never installed
    __version__ = "0+unknown"

__all__ = [
    "BATCH",
    "SGD",
    "Activation",
    "Adam",
    "AdamW",
    "Backend",
    "BackendError",
    "BatchNorm",
    "BinaryCrossEntropy",
    "ConfigError",
    "DataError",
    "Dataset",
    "DivergenceError",
    "Dropout",
    "History",
    "Layer",
    "LayerNorm",
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
    "SweepResult",
    "XbnetError",
    "assert_replica_equal",
    "evaluate",
    "fit",
    "get_backend",
    "load",
    "load_dataset",
    "load_model",
    "replica_seeds",
    "save",
    "sweep",
]
