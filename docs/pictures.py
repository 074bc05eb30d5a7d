"""Draw the pictures of `backward.md` anew: ``python docs/pictures.py``."""

import io
from pathlib import Path

from PIL import Image

from xbnet.files import write_bytes
from xbnet.verify.catalogue import catalogue

FOLDER = Path(__file__).parent / "_static" / "verify"

PICTURES = {
    "example/two layers, gradient": "two-layers",
    "layers/linear": "linear",
    "layers/residual": "residual",
    "layers/dropout": "dropout",
    "layers/batch norm": "batch-norm",
    "layers/layer norm": "layer-norm",
    "activations/relu in a residual block": "relu",
    "losses/cross_entropy smoothed": "cross-entropy",
    "losses/binary_cross_entropy": "binary-cross-entropy",
    "losses/mse": "mse",
    "losses/cross_entropy l1": "l1",
    "depth/residual 20": "deep",
}
"""Case of the catalogue -> name of its picture."""


def draw() -> None:
    """Run the cases, and keep their pictures in few colours."""
    FOLDER.mkdir(exist_ok=True)
    for case in catalogue():
        if case.name in PICTURES:
            result = case.run()
            result.raise_if_failed()
            drawn, small = io.BytesIO(), io.BytesIO()
            result.plot().savefig(drawn, format="png", dpi=70)
            Image.open(drawn).convert("RGB").quantize(64, method=Image.Quantize.FASTOCTREE).save(
                small, format="png", optimize=True
            )
            write_bytes(FOLDER / f"{PICTURES[case.name]}.png", small.getvalue())


if __name__ == "__main__":
    draw()
