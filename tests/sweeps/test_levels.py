"""A sweep runs on the level of execution that was asked for, and its members are those of solo runs on that level."""

import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.backends.machine.load import why_not
from xbnet.training.trainer import Trainer

from .conftest import make_data


@pytest.mark.parametrize("level", ["auto", "eager", "compiled"])
def test_members_run_on_the_level_that_was_asked_for(level, monkeypatch):
    if level == "compiled" and why_not():
        pytest.skip(str(why_not()))
    seen, finish = set(), Trainer.finish

    def finish_and_note(self):
        seen.add(self.history.execution)
        return finish(self)

    monkeypatch.setattr(Trainer, "finish", finish_and_note)
    result = xbnet.sweep({"lr": [0.1, 0.3]}, make_data(), epochs=2, hidden=3, execution=level)
    xbnet.assert_replica_equal(result, 1)
    assert seen == {"replay" if level == "auto" else level}


def test_a_sweep_does_not_go_on_at_another_level(tmp_path):
    def run(level, resume=False):
        xbnet.sweep({"lr": [0.1]}, make_data(), epochs=1, execution=level, out=tmp_path / "run", resume=resume)

    run("eager")
    run("eager", resume=True)
    line = "it was made by execution eager, and this is replay"
    with refuses(xbnet.ConfigError, f"{tmp_path / 'run'}: holds another sweep ({line}); choose another folder"):
        run("auto", resume=True)


def test_without_numba_the_machine_is_refused(monkeypatch):
    monkeypatch.setattr("xbnet.sweeps.engine.why_not", lambda: "numba is missing")
    with refuses(xbnet.ConfigError, "sweep: execution 'compiled' is not possible: numba is missing; use 'auto'"):
        xbnet.sweep({"lr": [0.1]}, make_data(), epochs=1, execution="compiled")


def test_auto_leaves_the_machine_where_a_step_is_no_program(monkeypatch):
    """However much it would save."""
    monkeypatch.setattr("xbnet.sweeps.engine.LONG_ENOUGH", -1.0)
    monkeypatch.setattr("xbnet.sweeps.engine.has_program", lambda trainer: False)
    result = xbnet.sweep({"lr": [0.1]}, make_data(), epochs=1)
    assert result.program.execution == "replay"


@pytest.mark.parametrize(
    ("level", "line"), [("graph", "execution 'graph' is not possible"), ("fast", "unknown execution 'fast'")]
)
def test_a_level_that_is_not_possible_is_refused_before_anything_trains(level, line, tmp_path):
    with pytest.raises(xbnet.ConfigError, match=rf"\Afit: {line}.*\Z"):
        xbnet.sweep({"lr": [0.1, 0.3]}, make_data(), epochs=2, execution=level, out=tmp_path / "sweep")
    assert not (tmp_path / "sweep").exists()
