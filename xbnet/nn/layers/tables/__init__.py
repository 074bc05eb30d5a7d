"""Layers of the networks that are best on tables; each one's forward and backward, as in the folder above."""

from .categories import Embedding, expect_embedded
from .member_outputs import MemberOutputs
from .members import Members, SharedLinear
from .number_embeddings import EMBED_NUMBERS, embed_numbers
from .periodic import PeriodicEmbedding
from .piecewise import PiecewiseLinearEmbedding, quantile_bins
from .scale import Parametric, PReLU, Scale

TABLE_LAYERS = (
    *(Scale, Parametric, PReLU, PiecewiseLinearEmbedding, PeriodicEmbedding, Embedding),
    *(Members, SharedLinear, MemberOutputs),
)
"""In the order of the docs."""

__all__ = [
    "EMBED_NUMBERS",
    "TABLE_LAYERS",
    "Embedding",
    "MemberOutputs",
    "Members",
    "PReLU",
    "Parametric",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "Scale",
    "SharedLinear",
    "embed_numbers",
    "expect_embedded",
    "quantile_bins",
]
