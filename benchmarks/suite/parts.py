"""A training step and its parts, by backend and along one size at a time: depth, width, batch, replicas."""

from __future__ import annotations

from .common import BACKENDS, Parts, seconds


class _Parts:
    """Times of the parts, and throughput of the whole; `size` names what the second parameter sets."""

    size = ""
    fixed: dict[str, int] = {}  # noqa: RUF012
    timeout = 120

    def setup(self, backend: str, value: int) -> None:
        self.parts = Parts(backend, **{**self.fixed, self.size: value})

    def time_forward(self, backend: str, value: int) -> None:
        self.parts.forward()

    def time_loss(self, backend: str, value: int) -> None:
        self.parts.evaluate_loss()

    def time_backward(self, backend: str, value: int) -> None:
        self.parts.backward()

    def time_optimizer(self, backend: str, value: int) -> None:
        self.parts.update()

    def time_step(self, backend: str, value: int) -> None:
        self.parts.step()

    def track_forward_throughput(self, backend: str, value: int) -> float:
        return self.parts.samples / seconds(self.parts.forward)

    track_forward_throughput.unit = "samples/s"  # type: ignore[attr-defined]

    def track_backward_throughput(self, backend: str, value: int) -> float:
        return self.parts.samples / seconds(self.parts.backward)

    track_backward_throughput.unit = "samples/s"  # type: ignore[attr-defined]

    def track_step_throughput(self, backend: str, value: int) -> float:
        return self.parts.samples / seconds(self.parts.step)

    track_step_throughput.unit = "samples/s"  # type: ignore[attr-defined]

    def track_step_gflops(self, backend: str, value: int) -> float:
        return self.parts.flops["step"] / seconds(self.parts.step) * 1e-9

    track_step_gflops.unit = "GFLOP/s"  # type: ignore[attr-defined]


class Depth(_Parts):
    """Hidden layers of 64 units, batch 256."""

    size, fixed = "depth", {"width": 64, "batch": 256}
    params = (BACKENDS, [1, 2, 4, 8, 16])
    param_names = ("backend", "depth")


class Width(_Parts):
    """Four hidden layers, batch 256."""

    size, fixed = "width", {"depth": 4, "batch": 256}
    params = (BACKENDS, [8, 64, 256, 1024])
    param_names = ("backend", "width")


class Batch(_Parts):
    """Four hidden layers of 64 units."""

    size, fixed = "batch", {"depth": 4, "width": 64}
    params = (BACKENDS, [32, 256, 4096])
    param_names = ("backend", "batch")


class Replicas(_Parts):
    """Two hidden layers of 8 units, batch 32: the small networks that stacks are for."""

    size, fixed = "replicas", {"depth": 2, "width": 8, "batch": 32}
    params = (BACKENDS, [1, 16, 256])
    param_names = ("backend", "replicas")
