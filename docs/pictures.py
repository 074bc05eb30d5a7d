"""Draw the pictures of `backward.md`, the home page and two cards of the gallery anew: ``python docs/pictures.py``."""

import io
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import xbnet
from xbnet.files import write_bytes
from xbnet.verify.catalogue import catalogue

FOLDER = Path(__file__).parent / "_static" / "verify"

PAGE = Path(__file__).parent / "backward.md"


def draw() -> None:
    """Run the cases whose pictures the page shows, and keep those in few colours: "layers/batch norm" is batch-norm."""
    wanted = set(re.findall(r"_static/verify/([\w-]+)\.png", PAGE.read_text(encoding="utf-8")))
    for case in catalogue():
        name = re.sub("[^a-z0-9]+", "-", case.name.partition("/")[2])
        if name in wanted:
            wanted.remove(name)
            result = case.run()
            result.raise_if_failed()
            keep(result.plot(), FOLDER / f"{name}.png", 70)
    if wanted:
        sys.exit(f"{PAGE.name}: no case of the catalogue is named like {', '.join(sorted(wanted))}")


def keep(figure: Any, path: Path, dpi: int) -> None:
    """Write a figure in few colours."""
    drawn, small = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=dpi)
    colours = Image.open(drawn).convert("RGB").quantize(64, method=Image.Quantize.FASTOCTREE)
    colours.save(small, format="png", optimize=True)
    write_bytes(path, small.getvalue())


class Doubled(xbnet.Linear):
    """A linear layer whose weights' gradient is twice what it should be."""

    def backward(self, dy: Any, dx: Any) -> None:
        """The mistake is in the last line."""
        super().backward(dy, dx)
        self.dW *= 2


def doors() -> None:
    """Three pictures of one size for the home page; the second also for cards of the gallery."""
    data = xbnet.load_dataset("peaks")
    network = xbnet.Network(xbnet.mlp((20, 20), 5, "tanh"), 2, rng=0)
    xbnet.fit(network, "cross_entropy", xbnet.Adam(0.01), data, epochs=15, schedule="cosine", rng=0)
    figure, axis = new()
    ticks = np.linspace(-3, 3, 300)
    plane = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    axis.pcolormesh(ticks, ticks, network.predict(plane).reshape(300, 300), cmap="Set2", vmin=0, vmax=7)
    axis.scatter(*data.val.x[:400].T, c=data.val.y[:400], s=6, cmap="Set2", vmin=0, vmax=7, ec="black", lw=0.3)
    axis.set(xlabel="a column", ylabel="another one", xticks=[], yticks=[])
    keep(figure, FOLDER.parent / "door-table.png", 100)

    x = np.random.default_rng(0).normal(size=(6, 3))
    for name, layer in (("door-proof", xbnet.Linear(4, "tanh")), ("door-wrong", Doubled(4, "tanh"))):
        (curve,) = (c for c in xbnet.jacobian_test(layer, x, replicas=1).curves if c.block == "0.W")
        figure, axis = new()
        axis.semilogy(curve.first[0], color="#1f77b4", label="change of f: slope 1")
        axis.semilogy(curve.second[0], color="#d62728", label="less the gradient's part")
        axis.set(xlabel="halvings of the step", ylim=(1e-18, 10))
        axis.legend(frameon=False)
        keep(figure, FOLDER.parent / f"{name}.png", 100)

    rates = np.geomspace(1e-3, 3, 40)
    stack = xbnet.Network([xbnet.Linear(10, "tanh"), xbnet.Linear(5)], 2, replicas=40, rng=0)
    history = xbnet.fit(stack, "cross_entropy", xbnet.SGD(rates), data, epochs=8, rng=0)
    figure, axis = new()
    axis.plot(history["epoch"], history["val_loss"], lw=1, alpha=0.8)
    axis.set(xlabel="epoch", ylabel="loss of 40 networks in one stack", ylim=(0, 1.7), yticks=[])
    keep(figure, FOLDER.parent / "door-stack.png", 100)


def new() -> tuple[Any, Any]:
    """A figure of the size of a door."""
    figure = Figure(figsize=(4, 3), layout="constrained")
    return figure, figure.subplots()


if __name__ == "__main__":
    draw()
    doors()
