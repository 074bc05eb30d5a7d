"""How a network for a table is trained where nobody says otherwise, by the command or by an estimator.

Who brings a table wants a network that is good, and no settings. These were chosen by scores on held-back rows of real
tables of 200 to 50,000 rows; docs/performance.md has the measurements.
"""

from __future__ import annotations

HIDDEN = (32,)
MEMBERS = 4
"""Number of small networks, trained as a stack, from weights and in orders of their own. Their mean predicts better
than one network of four times the width, above all in log loss, and depends less on the seed."""
ACTIVATION = "tanh"
"""A bounded activation: inputs that are far out don't carry it away."""
LEARNING_RATE = 0.03
SCHEDULE = "cosine"
"""A high rate that falls to 0 gets by with few epochs."""
EPOCHS = 100
PATIENCE = 8
L2 = 0.0003
ALPHA = 0.05
"""The same for estimators, whose penalty is a half of it, divided by the size of the batch."""
VALIDATION = 0.15
LEAST_BATCH, LARGEST_BATCH, STEPS = 32, 256, 5


def batch_size(n: int) -> int:
    """The power of two in [32, 256] with which n rows make about 5 to 10 steps per epoch; at most n.

    Small batches cost time, and large ones leave small tables with too few steps.

    Examples
    --------
    >>> [batch_size(n) for n in (20, 200, 900, 40_000)]
    [20, 32, 128, 256]
    """
    wanted = LEAST_BATCH
    while 2 * wanted <= LARGEST_BATCH and wanted * 1.5 * STEPS < n:
        wanted *= 2
    return min(wanted, n)
