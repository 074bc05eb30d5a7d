import pytest

from tests.support import fuzz
from tests.support.chance import COUNT, REPORT, SEED


@pytest.mark.fuzz
def test_mutants_of_files_end_as_they_should():
    try:
        ends = fuzz.run(COUNT, seed=SEED)
    except AssertionError as error:
        error.add_note(REPORT)
        raise
    assert set(ends) <= {"loaded", "DataError", "ConfigError"}
    assert ends["DataError"] > COUNT // 3
