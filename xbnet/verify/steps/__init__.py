"""Proof that a training step does what the papers say, at every level of execution; see `training_test`."""
