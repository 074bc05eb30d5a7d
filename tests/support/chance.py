"""How many mutants a fuzzer tries, and from which seed: another one in every run, which the report's head prints.

``XBNET_FUZZ=10000 python -m pytest -m fuzz`` is the whole of it, before a release: this many for each reader and command.
``XBNET_FUZZ_SEED=N`` runs those of a report again.
"""

import os
import random

COUNT = int(os.environ.get("XBNET_FUZZ", "500"))
SEED = int(os.environ.get("XBNET_FUZZ_SEED") or random.SystemRandom().randrange(10**6))
os.environ["XBNET_FUZZ_SEED"] = str(SEED)  # the same in all processes of a run
REPORT = f"fuzz: XBNET_FUZZ={COUNT} XBNET_FUZZ_SEED={SEED}"


def examples(n):
    """How many examples a property gets: `n` in a run of the suite, always the same ones, and 20 n before a release."""
    return n * (20 if "XBNET_FUZZ" in os.environ else 1)


def share(readers):
    """The number of cases for each of several readers: few in a run of the suite, all before a release."""
    return COUNT if "XBNET_FUZZ" in os.environ else -(-COUNT // readers)


def check_line(line):
    """Requirements on every error line, whatever a file holds."""
    assert line.isprintable(), f"{REPORT}: {line!r}"
    assert len(line) <= 300, f"{REPORT}: {len(line)} characters: {line}"
