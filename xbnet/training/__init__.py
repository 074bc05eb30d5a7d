"""How a run goes: steps, epochs, evaluation, early stopping, checkpoints."""
