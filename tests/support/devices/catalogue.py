"""All kernels that are shipped, as name expressions by file: what `test_compile` compiles."""

from xbnet.backends.cuda.ops import RULES

TYPES = ("float", "double")
COUNTED = [(t, i) for t in TYPES for i in ("int", "long long")]

SHAPES = (
    "Fixed<64, 5, 10, 5, 7, 5, 5, 0>",  # 5-10-7-5 with tanh, batch 64
    "Fixed<32, 64, 64, 1, 64, 1, 10, 0>",  # 64-64-64-10 with relu, batch 32
    "Read",
)

KERNELS: dict[str, list[str]] = {
    "gather.cuh": [f"gather<{t}>" for t in TYPES]
    + [f"{name}<{t}, {i}>" for name in ("lookup", "lookup_gradient") for t, i in COUNTED],
    "layer.cuh": [
        f"{name}<{t}, {i}>"
        for name in ("bias_activation", "activation_derivative", "activation_gradient")
        for t, i in COUNTED
    ],
    "loss.cuh": [f"softmax_cross_entropy<{t}>" for t in TYPES],
    "update.cuh": [f"square_sums<{t}>" for t in TYPES]
    + [f"update<{t}, {rule}>" for t in TYPES for rule in RULES.values()],
    "train.cuh": [
        *(f"train<float, long long, {rule}, {SHAPES[2]}>" for rule in RULES.values()),
        *(f"train<float, long long, Adam, {shape}>" for shape in SHAPES[:2]),
        f"train<double, long long, AdamW, {SHAPES[2]}>",
        f"train<float, int, SGD, {SHAPES[2]}>",
    ],
}
"""File -> kernels."""

SPILLED = {"train.cuh": 256, "loss.cuh": 16}
"""File -> bytes that a thread may spill: what is live through all phases of an unrolled kernel, or around calls of log.

None elsewhere."""
