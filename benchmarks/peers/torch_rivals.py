"""PyTorch: eager, compiled, a loop over networks, and `torch.func.vmap`."""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from .cases import Case
from .rival import Rival, Unable

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
LOOP = 10
"""How many networks of a stack the loop trains: its time is proportional to them."""


class Block(nn.Module):
    """x + W2 s(x W1 + b)."""

    def __init__(self, n: int, activation: nn.Module):
        super().__init__()
        self.first, self.activation, self.second = nn.Linear(n, n), activation, nn.Linear(n, n, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(self.activation(self.first(x)))


def parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Name in `Case.start` -> parameter; PyTorch keeps matrices transposed."""
    if isinstance(module, Block):
        return {"W1": module.first.weight, "b": module.first.bias, "W2": module.second.weight}
    if isinstance(module, nn.BatchNorm1d):
        return {"gain": module.weight, "offset": module.bias}
    return {"W": module.weight, "b": module.bias} if isinstance(module, nn.Linear) else {}


def build(case: Case, r: int) -> nn.Sequential:
    """Network r of a case."""
    activation = {"tanh": nn.Tanh, "relu": nn.ReLU}[case.activation]
    modules: list[nn.Module] = [Block(case.widths[0], activation()) for _ in range(case.blocks)]
    for i, o in pairwise(case.widths[:-1]):
        modules += [nn.Linear(i, o), activation()]
        if case.dropout is not None:
            modules += [nn.BatchNorm1d(o), nn.Dropout(case.dropout)]
    model = nn.Sequential(*modules, nn.Linear(*case.widths[-2:]))
    with torch.no_grad():
        for own, start in zip(filter(None, map(parameters, model)), case.start(), strict=True):
            for name, value in own.items():
                value.copy_(torch.from_numpy(start[name][r].T.reshape(value.shape).copy()))
    return model


def read(model: nn.Sequential) -> list[dict[str, np.ndarray]]:
    """As `Case.start` has them, of one network."""
    entries = filter(None, map(parameters, model))
    return [{name: np.atleast_2d(value.detach().numpy().T)[None] for name, value in own.items()} for own in entries]


class Torch(Rival):
    """Their common part: data as tensors."""

    def __init__(self, case: Case):
        super().__init__(case)
        self.x, self.y, self.rows = (torch.from_numpy(a) for a in case.data())

    @staticmethod
    def version() -> str:
        return f"PyTorch {torch.__version__}"


class Eager(Torch):
    """The loop of every tutorial; a stack is one network after the other."""

    def __init__(self, case: Case):
        super().__init__(case)
        self.steps = [self._step(r) for r in range(self.networks)]

    @property
    def networks(self) -> int:
        return min(self.case.replicas, LOOP)

    def _step(self, r: int) -> Callable[[torch.Tensor], None]:
        model, criterion = build(self.case, r), nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=float(self.case.learning_rates[r]))
        if r == 0:
            self.model = model
        x, y = self.x, self.y

        def step(index: torch.Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            criterion(model(x[index]), y[index]).backward()
            optimizer.step()

        return step

    def run(self, epochs: int) -> None:
        for step in self.steps:
            for _ in range(epochs):
                for index in self.rows:
                    step(index)

    def weights(self) -> list[dict[str, np.ndarray]]:
        return read(self.model)


class Compiled(Eager):
    """The same step, with loss and update through `torch.compile`."""

    def _step(self, r: int) -> Callable[[torch.Tensor], None]:
        if self.case.replicas > 1:
            raise Unable("one network only")
        model, criterion = build(self.case, r), nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=float(self.case.learning_rates[r]))
        self.model = model
        loss = torch.compile(lambda x, y: criterion(model(x), y))
        update = torch.compile(optimizer.step)
        x, y = self.x, self.y

        def step(index: torch.Tensor) -> None:
            optimizer.zero_grad(set_to_none=True)
            loss(x[index], y[index]).backward()
            update()

        return step


class Vmap(Torch):
    """`torch.func`: gradients of stacked parameters, vectorized over the networks."""

    def __init__(self, case: Case):
        super().__init__(case)
        if case.replicas == 1:
            raise Unable("stacks only")
        models = [build(case, r) for r in range(case.replicas)]
        self.model, (parameters, _) = models[0], stack_module_state(models)
        self.parameters = {name: value.detach() for name, value in parameters.items()}
        criterion, model = nn.CrossEntropyLoss(), self.model
        self.gradients = vmap(
            grad(lambda p, x, y: criterion(functional_call(model, p, (x,)), y)), in_dims=(0, None, None)
        )
        self.lr = torch.from_numpy(case.learning_rates)

    def run(self, epochs: int) -> None:
        columns = {name: self.lr.reshape(-1, *[1] * (v.dim() - 1)) for name, v in self.parameters.items()}
        with torch.no_grad():
            for index in self.rows.repeat(epochs, 1):
                gradients = self.gradients(self.parameters, self.x[index], self.y[index])
                for name, value in self.parameters.items():
                    value.addcmul_(columns[name], gradients[name], value=-1)

    def weights(self) -> list[dict[str, np.ndarray]]:
        names = [name.removesuffix(".weight") for name in self.parameters if name.endswith("weight")]
        return [
            {
                "W": self.parameters[f"{name}.weight"].numpy().swapaxes(1, 2),
                "b": self.parameters[f"{name}.bias"].numpy()[:, None],
            }
            for name in names
        ]
