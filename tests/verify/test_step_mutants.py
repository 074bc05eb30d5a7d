"""The test of training tested: it fails broken steps, and says where they are broken."""

import pytest

import xbnet
from xbnet.verify.steps.catalogue import training_catalogue

from .step_mutants import COMPILED, MUTANTS


def result_of(name, levels):
    return next(case for case in training_catalogue(levels=levels) if case.name == name).run()


def assert_caught(monkeypatch, mutant):
    kind, method, change = mutant.change
    monkeypatch.setattr(kind, method, change(getattr(kind, method)))
    result = result_of(mutant.run, [mutant.level])
    assert result.passed is False
    assert any(mutant.named in line for line in result.failures()), "\n".join(result.failures())
    with pytest.raises(xbnet.GradientError, match="^training_test: "):
        result.raise_if_failed()


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught_and_named(monkeypatch, name):
    assert_caught(monkeypatch, MUTANTS[name])


@pytest.mark.parametrize("name", COMPILED)
def test_mutant_of_the_machine_is_caught_and_named(monkeypatch, name):
    pytest.importorskip("numba")
    assert_caught(monkeypatch, COMPILED[name])
