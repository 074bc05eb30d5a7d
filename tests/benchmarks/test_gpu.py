"""`python -m benchmarks.gpu`: without a device all but the timing on one can be tried."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import xbnet
from tests.support.devices import emulation


@pytest.fixture
def gpu(monkeypatch):
    emulation.launcher()  # skips where there is no C++ compiler
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    levels = importlib.import_module("benchmarks.gpu.levels")
    monkeypatch.setattr(levels, "emulated", emulation.backend)  # which keeps its compiled kernels
    return importlib.import_module("benchmarks.gpu.__main__")


def test_every_level_agrees_with_float64(gpu, tmp_path, capsys):
    assert gpu.main(["--check", "--only", "5-10-7-5", "--rivals", "xbnet", "--out", str(tmp_path)]) == 0
    out, _ = capsys.readouterr()
    assert out.strip() == (tmp_path / "gpu.md").read_text().strip()
    (case,) = json.loads((tmp_path / "gpu.json").read_text())["cases"]
    found = case["rivals"]
    assert case["name"] == "1,000 x 5-10-7-5, batch 64"
    assert found["xbnet eager"]["error"] < 1e-5
    assert found["xbnet persistent"]["error"] < 1e-5
    assert "captures no graphs" in found["xbnet graph"]["skipped"]
    assert "- xbnet graph: fit: execution 'graph' is not possible" in out


def test_what_is_wrong_is_not_timed_and_told(gpu, capsys, monkeypatch):
    levels = importlib.import_module("benchmarks.gpu.levels")
    monkeypatch.setattr(levels, "LR", 0.0501)
    assert gpu.main(["--check", "--only", "5-10-7-5", "--rivals", "xbnet eager"]) == 1
    assert "| WRONG |" in capsys.readouterr().out


def test_what_fails_while_it_is_timed_does_not_end_the_others(gpu, monkeypatch):
    from benchmarks.gpu.cases import CASES

    def seconds_per_step(rival, epochs):
        if rival.level == "eager":
            raise RuntimeError("out of memory")
        return 1.0

    monkeypatch.setattr(gpu, "seconds_per_step", seconds_per_step)
    found = gpu.measure(CASES[2].small(), ["xbnet eager", "xbnet persistent"], "cpu", 2, set())
    assert found["xbnet eager"]["skipped"] == "RuntimeError: out of memory"
    assert not found["xbnet eager"]["agrees"]
    assert found["xbnet persistent"]["seconds"] == [1.0, 1.0]


def test_what_is_known_is_written_after_each_case(gpu, monkeypatch, tmp_path):
    measured = []

    def measure(case, *more):
        if measured:
            assert len(json.loads((tmp_path / "gpu.json").read_text())["cases"]) == 1
            raise KeyboardInterrupt
        measured.append(case)
        return {name: {"skipped": "not here"} for name in more[0]}

    monkeypatch.setattr(gpu, "measure", measure)
    with pytest.raises(KeyboardInterrupt):
        gpu.main(["--check", "--out", str(tmp_path)])


def test_times_ratios_floors_and_goals(gpu, monkeypatch):
    """Timed on the CPU, for an epoch, and reported as if it were a device."""
    from benchmarks.gpu import report
    from benchmarks.gpu.cases import CARDS, CASES

    monkeypatch.setattr(gpu, "epochs_of", lambda case: 1)
    case, names = CASES[0], ["xbnet eager", "xbnet persistent"]
    found = gpu.measure(case.small(), names, "cpu", 3, set())
    assert all(len(found[name]["seconds"]) == 3 for name in names)
    assert all(seconds > 0 for name in names for seconds in found[name]["seconds"])
    for name, seconds in zip(names, (30e-6, 10e-6), strict=True):
        found[name]["seconds"] = [seconds * 0.9, seconds, seconds * 1.1]
    found["PyTorch eager"] = {"error": 0.0, "agrees": True, "seconds": [200e-6]}
    found["PyTorch graph"] = {"error": 0.0, "agrees": True, "seconds": [12e-6]}
    case = {"name": case.name, "flop": case.flop, "floors": case.floors(CARDS["H200"]), "rivals": found}
    text = report.markdown(
        {"device": "H200", "versions": ["xbnet 1"], "timed": True, "rivals": list(found), "cases": [case]}
    )
    assert "| 1 x 64-64-64-10, batch 32 | 30 ± 10% | 10 ± 10% | 200 ± 0% | 12 ± 0% |" in text
    assert "| 1 x 64-64-64-10, batch 32 | 3.00 | 1.00 | 20.00 | 1.20 |" in text
    assert "| 1 x 64-64-64-10, batch 32 | 1.4 | 0.0214 | 0 | 19.2 |" in text
    assert "PyTorch eager takes 20.00 x xbnet's time, 10 x wanted: reached" in text
    assert "PyTorch graph takes 1.20 x xbnet's time, 1.5 x wanted: missed" in text


def test_without_a_device_it_says_so_in_one_line(gpu, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr(xbnet.backends.backend, "_opened", {})
    assert gpu.main([]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("benchmarks.gpu: backend 'cupy': ")
    assert err.endswith("; agreement alone needs no device: --check\n")
    assert err.count("\n") == 1


def test_the_rivals_do_the_same_work(gpu):
    """Those that are installed."""
    from benchmarks.gpu.cases import CASES

    names = [name for name in gpu.RIVALS if not name.startswith("xbnet")]
    found = gpu.measure(CASES[2].small(), names, "cpu", 0, set())
    assert all(result.get("agrees", True) for result in found.values())
    assert all(np.isfinite(result["error"]) for result in found.values() if "error" in result)
