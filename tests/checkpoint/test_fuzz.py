"""A few hundred mutants in the suite; `fuzz.py` runs any number."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import fuzz


def test_mutants_end_in_one_line_and_touch_nothing():
    ends = fuzz.run(400, seed=1)
    assert ends["DataError"] > 200
