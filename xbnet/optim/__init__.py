"""How parameters move: optimizers, learning-rate schedules, penalties and strategies."""
