"""The layers that flags describe, and how many networks have them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ..errors import ConfigError
from ..nn.layers import Layer
from ..nn.layers.tables import Embedding, embed_numbers
from ..nn.mlp import mlp
from ..nn.sharing import sharing_mlp

if TYPE_CHECKING:
    from ..datasets import Dataset


def layers_from(args: argparse.Namespace, data: Dataset) -> list[Layer]:
    """The layers that the flags describe, behind embeddings of the columns that are codes, and of numbers."""
    codes, numbers = Embedding.of_codes(data.codes, args.embedding_dim), data.numbers
    where = f"{data.name}: --embed-numbers {args.embed_numbers}"
    embedding = embed_numbers(args.embed_numbers, data.train.x, numbers, data.codes, where=where, dtype=args.dtype)
    return [*codes, *embedding, *_behind_columns(args, data.n_outputs)]


def _behind_columns(args: argparse.Namespace, n_outputs: int) -> list[Layer]:
    if not args.hidden and not args.residual and (args.batch_norm or args.dropout):
        raise ConfigError("--dropout and --batch-norm need hidden layers; give --hidden or --residual")
    if args.sharing != "none":
        return sharing_mlp(
            args.hidden, n_outputs, args.activation, members=args.members, sharing=args.sharing, dropout=args.dropout,
            initializer=args.init,
        )  # fmt: skip
    return mlp(
        args.hidden, n_outputs, args.activation, residual=args.residual, batch_norm=args.batch_norm,
        dropout=args.dropout, initializer=args.init,
    )  # fmt: skip


def replicas_from(args: argparse.Namespace) -> int:
    """How many networks are trained: those that the user asked for, or the members of one."""
    if args.members == 1 or args.sharing != "none":
        if args.sharing != "none" and (args.residual or args.batch_norm):
            flag = "residual" if args.residual else "batch-norm"
            raise ConfigError(f"--sharing {args.sharing}: expected hidden layers alone, got --{flag}")
        return int(args.replicas)
    if args.replicas > 1:
        raise ConfigError(f"--members {args.members} make one network, got --replicas {args.replicas} too; give one")
    if args.residual or args.batch_norm:
        flag = "residual" if args.residual else "batch-norm"
        raise ConfigError(f"--members {args.members}: expected hidden layers alone to become one, got --{flag}")
    return int(args.members)
