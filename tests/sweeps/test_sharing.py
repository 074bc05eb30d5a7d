"""Members that share weights, and codes of categories, in sweeps."""

import numpy as np
import pytest

import xbnet
from xbnet import Dataset, Part
from xbnet.datasets import Column, Schema

RNG = np.random.default_rng(0)


def data():
    """Two numbers and a city, which decides."""
    codes = RNG.integers(0, 5, 40)
    schema = Schema((Column("a"), Column("b"), Column("city", "category", values=tuple("pqrst"), coded=True)))
    x = np.column_stack([RNG.normal(size=(40, 2)), codes]).astype(np.float32)
    return Dataset("cities", Part(x, codes % 2), Part(x[:10], codes[:10] % 2), classes=("even", "odd"), schema=schema)


@pytest.mark.parametrize("space", [{"sharing": ["none", "tabm"]}, {"sharing": ["tabm-mini"], "members": [2, 3]}])
def test_stacks_of_them(space):
    result = xbnet.sweep({**space, "hidden": (4,)}, data(), epochs=2, optimizer="adam", lr=0.05)
    assert len(result.members) == 2
    kinds = {tuple(type(layer).__name__ for layer in result.network(i).layers) for i in range(2)}
    assert len(kinds) == len(space["sharing"])
    assert all(kind[0] == "Embedding" for kind in kinds)
