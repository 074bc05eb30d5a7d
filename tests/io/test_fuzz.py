"""A few hundred mutants in the suite; `python -m tests.support.fuzz` runs any number."""

from tests.support import fuzz


def test_mutants_end_in_one_line_and_touch_nothing():
    ends = fuzz.run(400, seed=1)
    assert ends["DataError"] > 200
