"""Proof that backward is the derivative of forward: gradient and Jacobian tests."""

from .compare import compare_gradients, numerical_gradient
from .gradient import gradient_test, jacobian_test
from .jacobians import jacobian
from .results import GradientComparison, Verification

__all__ = [
    "GradientComparison",
    "Verification",
    "compare_gradients",
    "gradient_test",
    "jacobian",
    "jacobian_test",
    "numerical_gradient",
]
