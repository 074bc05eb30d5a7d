"""One training step of a small network: xbnet against the bare NumPy calls, and PyTorch's eager step against xbnet.

    python -m benchmarks.step

Prints two ratios, medians of interleaved repeats in one process, after checking that all do the same work: the same
weights after 20 steps on the same batches.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from itertools import pairwise

import numpy as np

import xbnet

WIDTHS, B, LR = (5, 10, 7, 5), 64, 0.1


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A batch's worth of everything: x (N, I), labels (N,), the rows of each step (S, B)."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4096, WIDTHS[0])).astype(np.float32)
    return x, rng.integers(0, WIDTHS[-1], len(x)), rng.integers(0, len(x), (200, B))


def xbnet_step(network: xbnet.Network, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Callable[[int], None]:
    """Gather, forward, loss, backward, update, by xbnet."""
    take = xbnet.Step(network, "cross_entropy", xbnet.SGD(LR))

    def step(s: int) -> None:
        take(x, y, rows=rows[s : s + 1])

    return step


def bare_step(network: xbnet.Network, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Callable[[int], None]:
    """The sequence of NumPy calls that the step above amounts to, written out with nothing around it."""
    theta = network.theta.copy()
    grad, work = np.zeros_like(theta), np.zeros_like(theta)
    W, b, dW, db = [], [], [], []
    shapes = list(pairwise(WIDTHS))
    at = 0
    for i, o in shapes:
        W.append(theta[:, at : at + i * o].reshape(1, i, o))
        dW.append(grad[:, at : at + i * o].reshape(1, i, o))
        at += i * o
    for _, o in shapes:
        b.append(theta[:, at : at + o].reshape(1, 1, o))
        db.append(grad[:, at : at + o].reshape(1, 1, o))
        at += o
    f = x.dtype
    x0, x1, x2, z = (np.empty((1, B, n), f) for n in WIDTHS)
    z1, z2, d1, d2, s1, s2 = (np.empty((1, B, n), f) for n in (*WIDTHS[1:3], *WIDTHS[1:3], *WIDTHS[1:3]))
    d, e, w, t = (np.empty((1, B, WIDTHS[-1]), f) for _ in range(4))
    m, s, p = (np.empty((1, B, 1), f) for _ in range(3))
    yb, best, flat = (np.empty((1, B), np.intp) for _ in range(3))
    match, hits, values = np.empty((1, B), bool), np.empty((1, B), f), np.empty((1, B, 1), f)
    offsets, eye = (np.arange(B) * WIDTHS[-1]).reshape(1, B), np.eye(WIDTHS[-1], dtype=f)
    row, column = np.ones((1, 1, B), f), np.ones((1, WIDTHS[-1], 1), f)
    lr = np.full((1, 1), LR, f)

    def step(k: int) -> None:
        index = rows[k : k + 1]
        x.take(index, axis=0, out=x0, mode="clip")
        y.take(index, axis=0, out=yb, mode="clip")
        np.matmul(x0, W[0], out=z1)
        np.add(z1, b[0], out=z1)
        np.tanh(z1, out=x1)
        np.matmul(x1, W[1], out=z2)
        np.add(z2, b[1], out=z2)
        np.tanh(z2, out=x2)
        np.matmul(x2, W[2], out=z)
        np.add(z, b[2], out=z)
        z.argmax(axis=2, out=best)
        np.add(best, offsets, out=flat)
        z.reshape(-1).take(flat, out=m.reshape(1, B), mode="clip")
        np.subtract(z, m, out=w)
        np.exp(w, out=e)
        np.matmul(e, column, out=s)
        eye.take(yb, axis=0, out=t, mode="clip")
        np.divide(e, s, out=d)
        np.subtract(d, t, out=d)
        np.multiply(w, t, out=w)
        np.matmul(w, column, out=p)
        np.log(s, out=m)
        np.subtract(m, p, out=values)
        np.equal(best, yb, out=match)
        np.copyto(hits, match)
        np.multiply(d, 1 / B, out=d)
        np.matmul(x2.swapaxes(1, 2), d, out=dW[2])
        np.matmul(row, d, out=db[2])
        np.matmul(d, W[2].swapaxes(1, 2), out=d2)
        np.multiply(x2, x2, out=s2)
        np.multiply(s2, d2, out=s2)
        np.subtract(d2, s2, out=d2)
        np.matmul(x1.swapaxes(1, 2), d2, out=dW[1])
        np.matmul(row, d2, out=db[1])
        np.matmul(d2, W[1].swapaxes(1, 2), out=d1)
        np.multiply(x1, x1, out=s1)
        np.multiply(s1, d1, out=s1)
        np.subtract(d1, s1, out=d1)
        np.matmul(x0.swapaxes(1, 2), d1, out=dW[0])
        np.matmul(row, d1, out=db[0])
        np.multiply(grad, lr, out=work)
        np.subtract(theta, work, out=theta)

    step.theta = theta  # type: ignore[attr-defined]
    return step


def torch_step(network: xbnet.Network, x: np.ndarray, y: np.ndarray, rows: np.ndarray) -> Callable[[int], None]:
    """PyTorch's eager step, from the same weights."""
    import torch

    layers: list[torch.nn.Module] = []
    for k, (i, o) in enumerate(pairwise(WIDTHS)):
        linear = torch.nn.Linear(i, o)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(network.parameters[f"{k}.W"][0].T.copy()))
            linear.bias.copy_(torch.from_numpy(network.parameters[f"{k}.b"][0, 0].copy()))
        layers += [linear, torch.nn.Tanh()]
    model = torch.nn.Sequential(*layers[:-1])
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=LR)
    tx, ty, index = torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(rows)

    def step(s: int) -> None:
        optimizer.zero_grad(set_to_none=True)
        criterion(model(tx[index[s]]), ty[index[s]]).backward()
        optimizer.step()

    step.model = model  # type: ignore[attr-defined]
    return step


def main(repeats: int = 40, steps: int = 100) -> None:
    """Check, time in turn, print."""
    x, y, rows = data()
    network = xbnet.Network([xbnet.Linear(10, "tanh"), xbnet.Linear(7, "tanh"), xbnet.Linear(5)], 5, rng=0)
    makers = {"xbnet": xbnet_step, "bare NumPy": bare_step}
    try:
        import torch

        makers["PyTorch eager"] = torch_step
        version = f", PyTorch {torch.__version__} on {torch.get_num_threads()} threads"
    except ImportError:
        version = ", PyTorch not installed"
    # xbnet's own step comes last, because it moves the network that the others copy their weights from.
    made = {name: makers[name](network, x, y, rows) for name in reversed(list(makers))}
    for step in made.values():
        for s in range(20):
            step(s)
    check(network, made)
    times: dict[str, list[float]] = {name: [] for name in made}
    for _ in range(repeats):
        for name, step in made.items():
            started = time.perf_counter()
            for s in range(steps):
                step(s)
            times[name].append((time.perf_counter() - started) / steps * 1e6)
    print(f"step of {'-'.join(map(str, WIDTHS))}, batch {B}, float32; NumPy {np.__version__}{version}")
    for name, values in sorted(times.items(), key=lambda item: statistics.median(item[1])):
        print(f"{name:<15}{statistics.median(values):8.1f} us  (min {min(values):.1f}, max {max(values):.1f})")

    def ratio(a: str, b: str) -> float:
        return statistics.median(p / q for p, q in zip(times[a], times[b], strict=True))

    print(f"xbnet / bare NumPy     {ratio('xbnet', 'bare NumPy'):6.2f}")
    if "PyTorch eager" in times:
        print(f"PyTorch eager / xbnet  {ratio('PyTorch eager', 'xbnet'):6.2f}")


def check(network: xbnet.Network, made: dict[str, Callable[[int], None]]) -> None:
    """All have come to the same weights."""
    bare = made["bare NumPy"].theta  # type: ignore[attr-defined]
    np.testing.assert_array_equal(network.theta, bare, "bare NumPy does other work than xbnet")
    if "PyTorch eager" in made:
        weights = [layer.weight for layer in made["PyTorch eager"].model[::2]]  # type: ignore[attr-defined]
        for k, weight in enumerate(weights):
            ours = network.parameters[f"{k}.W"][0].T
            np.testing.assert_allclose(ours, weight.detach().numpy(), atol=1e-5)


if __name__ == "__main__":
    main()
