"""PyTorch: batched products of all networks, eager, compiled or as a CUDA graph; `torch.func.vmap`; a loop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from .cases import LR, MOMENTUM, Case
from .rival import Rival, Unable


class Eager(Rival):
    """`baddbmm` over all networks, fused SGD."""

    networks: int | None = None
    """How many of the networks are trained; None: all."""

    def __init__(self, case: Case, device: str):
        super().__init__(case, device)
        torch.backends.cuda.matmul.allow_tf32 = case.tf32
        self.replicas = min(self.networks or case.replicas, case.replicas)
        x, y, rows = case.data()
        self.x, self.y, self.rows = (torch.as_tensor(a, device=device) for a in (x, y, rows))
        start = [part[: self.replicas] for layer in case.start() for part in layer]
        self.parameters = [torch.tensor(part, device=device, requires_grad=True) for part in start]
        self._prepare()

    def _prepare(self) -> None:
        kind = {"fused": True} if self.device == "cuda" else {"foreach": True}
        self.optimizer = torch.optim.SGD(self.parameters, lr=LR, momentum=MOMENTUM, **kind)

    def loss(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The sum of the networks' mean losses, so that each gets its own gradient."""
        h, p = x.expand(self.replicas, -1, -1), self.parameters
        for k in range(0, len(p), 2):
            h = torch.baddbmm(p[k + 1], h, p[k])
            h = h if k == len(p) - 2 else torch.relu(h)
        return F.cross_entropy(h.flatten(0, 1), y.repeat(self.replicas), reduction="sum") / len(y)

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        self.loss(x, y).backward()
        self.optimizer.step()

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            for index in self.rows:
                self.step(self.x[index], self.y[index])

    def wait(self) -> None:
        if self.device == "cuda":
            torch.cuda.synchronize()

    def events(self) -> Any:
        if self.device == "cpu":
            return None
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        return first, last, lambda a, b: a.elapsed_time(b) / 1e3

    def weights(self) -> np.ndarray:
        return np.concatenate([p.detach().double().cpu().numpy().ravel() for p in self.parameters])

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}"


class Loop(Eager):
    """The usual program: one network after the other. The first ones stand for all of them."""

    networks = 4

    def __init__(self, case: Case, device: str):
        if case.replicas == 1:
            raise Unable("stacks only")
        super().__init__(case, device)

    def _prepare(self) -> None:
        kind = {"fused": True} if self.device == "cuda" else {"foreach": True}
        self.own = [[p.detach()[r].clone().requires_grad_(True) for p in self.parameters] for r in range(self.replicas)]
        self.optimizers = [torch.optim.SGD(own, lr=LR, momentum=MOMENTUM, **kind) for own in self.own]

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        for p, optimizer in zip(self.own, self.optimizers, strict=True):
            h = x
            for k in range(0, len(p), 2):
                h = torch.addmm(p[k + 1], h, p[k])
                h = h if k == len(p) - 2 else torch.relu(h)
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(h, y).backward()
            optimizer.step()

    def weights(self) -> np.ndarray:
        layers = [torch.stack(parts).detach() for parts in zip(*self.own, strict=True)]
        return np.concatenate([p.double().cpu().numpy().ravel() for p in layers])


class Compiled(Eager):
    """The loss through `torch.compile`."""

    def _prepare(self) -> None:
        super()._prepare()
        if self.device == "cpu":
            raise Unable("needs a device")
        self.loss = torch.compile(self.loss, mode="reduce-overhead")  # type: ignore[method-assign]


class Graph(Eager):
    """The whole step as a CUDA graph."""

    def _prepare(self) -> None:
        super()._prepare()
        if self.device == "cpu":
            raise Unable("needs a device")
        self.xb, self.yb = self.x[self.rows[0]].clone(), self.y[self.rows[0]].clone()
        kept = [p.detach().clone() for p in self.parameters]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step(self.xb, self.yb)
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step(self.xb, self.yb)
        with torch.no_grad():
            for p, start in zip(self.parameters, kept, strict=True):
                p.copy_(start)
                self.optimizer.state[p]["momentum_buffer"].zero_()

    def run(self, epochs: int) -> None:
        for _ in range(epochs):
            for index in self.rows:
                torch.index_select(self.x, 0, index, out=self.xb)
                torch.index_select(self.y, 0, index, out=self.yb)
                self.graph.replay()


class Vmap(Eager):
    """Gradients of one network, vectorized over all."""

    def _prepare(self) -> None:
        self.parameters = [p.detach() for p in self.parameters]
        self.velocity = [torch.zeros_like(p) for p in self.parameters]

        def loss(p: list[torch.Tensor], x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            h = x
            for k in range(0, len(p), 2):
                h = h @ p[k] + p[k + 1]
                h = h if k == len(p) - 2 else torch.relu(h)
            return F.cross_entropy(h, y)

        self.gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(0, None, None))

    def step(self, x: torch.Tensor, y: torch.Tensor) -> None:
        gradients = list(self.gradients(self.parameters, x, y))
        torch._foreach_mul_(self.velocity, MOMENTUM)
        torch._foreach_add_(self.velocity, gradients)
        torch._foreach_add_(self.parameters, self.velocity, alpha=-LR)
