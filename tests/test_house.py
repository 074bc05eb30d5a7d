"""The house stays small: what a reader has to hold in the head has limits. ``python -m tests.support.house`` counts."""

import pytest

from tests.support import house

LONGEST = 300
CODE_OF_THE_CORE = 3_000
ANY = 550
"""Parameters and results that are annotated `Any` and nothing else, for they may really be anything: each more of them
hides something from readers and type checkers."""


def test_no_file_is_longer_than_300_lines():
    """Files of CUDA's included."""
    assert not {name: n for name, n in house.lengths().items() if n > LONGEST}


def test_the_core_can_be_read_in_an_evening():
    code = sum(house.evening_core().values())
    assert code <= CODE_OF_THE_CORE, f"{code} lines: make something simpler, or put it where it belongs"


def test_annotations_say_what_is_meant():
    assert sum(house.any_annotations()) <= ANY, "annotate what it is: an Array, PerReplica, ..., see backends/arrays"


def test_a_step_runs_through_few_files():
    assert len(house.one_step()) <= 12
    assert len(house.one_forward()) <= 11


@pytest.mark.parametrize("layer", ["LayerNorm", "Scale", "PReLU", "PeriodicEmbedding"])
def test_a_built_in_layer_touches_few_files(layer):
    """Its own, the table, its public name, and one more: its text for PyTorch, say, where that has no such module."""
    assert 3 <= len(house.places_of(layer)) <= 4


def test_code_is_counted_without_what_explains_it(tmp_path):
    path = tmp_path / "text.py"
    path.write_text('"""Text.\n\nMore."""\n\n# remark\nx = """a\nb"""\n\n\ndef f():\n    """Says."""\n    return x\n')
    assert house.code_lines(path) == 4
    path = tmp_path / "classes.py"
    path.write_text("class A:\n    x: int\n    y: int = 1\n\n\n@dataclass(frozen=True)\nclass B:\n    x: int\n")
    assert house.code_lines(path) == 5


def test_what_is_said_to_lie_beside_the_core_is_there():
    for name in (name for names in house.BESIDE.values() for name in names):
        assert (house.PACKAGE / name).is_dir() or (house.PACKAGE / f"{name}.py").exists(), name


def test_there_are_few_names_beside_each_other():
    assert len(house.top_level()) <= 24
    assert len(house.imports_between()) <= 140
