"""How far the machine's tanh, exp, ... are from the true values, over all of float32, and NumPy's.

    python -m benchmarks.ulp [NAME ...] [--every N]

The true values are NumPy's in float64. All 2^32 numbers take some minutes per function; `--every` takes one in N.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from numba import njit

from xbnet.backends.machine.load import machine
from xbnet.backends.machine.lower import lower
from xbnet.backends.machine.record import Operation

NAMES = ("exp", "expm1", "tanh", "log", "log1p", "sin", "cos")
BLOCK = 1 << 20


@njit(cache=False)
def errors(y: np.ndarray, true: np.ndarray) -> tuple[float, int]:
    """The largest distance in units in the last place, and how many results are wrong where there is no number."""
    largest, wrong = 0.0, 0
    for i in range(len(y)):
        rounded = np.float32(true[i])
        if not np.isfinite(rounded):
            both = np.isnan(rounded) and np.isnan(y[i])
            wrong += not (both or y[i] == rounded)
            continue
        _, exponent = math.frexp(true[i])
        distance = abs(np.float64(y[i]) - true[i]) * math.ldexp(1.0, 24 - max(exponent, -125))
        if not distance <= largest:
            largest = distance
    return largest, wrong


def main() -> None:
    """Print a line per function."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--every", type=int, default=1)
    args = parser.parse_args()
    x, y = (np.empty((1, BLOCK), np.float32) for _ in "xy")
    play = machine(x.dtype)
    print(f"{'':<8}{'machine':>9}{'NumPy':>9}{'wrong':>7}   ulp over {2**32 // args.every:,} numbers", flush=True)
    for name in args.names or NAMES:
        program = lower([Operation(name, (x,), (y,))], x.dtype, 1, [], {})
        worst, theirs, wrong = 0.0, 0.0, 0
        for start in range(0, 2**32, BLOCK * args.every):
            bits = np.arange(start, min(start + BLOCK * args.every, 2**32), args.every, dtype=np.uint64)
            x[0, : len(bits)] = bits.astype(np.uint32).view(np.float32)
            program.play(play, program.addresses(1, {}), 1, 0, 1)
            with np.errstate(all="ignore"):
                true = getattr(np, name)(x[0].astype(np.float64))
                there = getattr(np, name)(x[0])
            error, bad = errors(y[0], true)
            worst, wrong = max(worst, error), wrong + bad
            theirs = max(theirs, errors(there, true)[0])
        print(f"{name:<8}{worst:>9.2f}{theirs:>9.2f}{wrong:>7}", flush=True)


if __name__ == "__main__":
    main()
