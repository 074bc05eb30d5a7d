"""Proof that backward is the derivative of forward, and that a step is what the papers say."""

from .compare import compare_gradients, numerical_gradient
from .gradient import gradient_test, jacobian_test
from .jacobians import jacobian
from .results import GradientComparison, Verification
from .steps.results import TrainingVerification
from .steps.training import training_test

__all__ = [
    "GradientComparison",
    "TrainingVerification",
    "Verification",
    "compare_gradients",
    "gradient_test",
    "jacobian",
    "jacobian_test",
    "numerical_gradient",
    "training_test",
]
