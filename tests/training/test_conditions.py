"""A resumed run says so where the machine or its libraries round otherwise than before."""

import logging
import os
import subprocess

import numpy as np
import pytest

import xbnet
from tests.support.undrawn import COMMAND
from xbnet.backends import blas
from xbnet.training.conditions import compare_conditions

DATA = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2


def train(folder, epochs, **settings):
    network = xbnet.Network([xbnet.Linear(2)], 3, rng=0)
    xbnet.fit(network, "cross_entropy", "sgd", DATA, epochs=epochs, checkpoint=folder, checkpoint_every=1, **settings)
    return network


def test_nothing_is_said_where_nothing_has_changed(tmp_path, caplog):
    train(tmp_path, 1)
    train(tmp_path, 2, resume=True)
    assert not caplog.records


def test_another_number_of_threads_is_said_in_one_line(tmp_path, caplog, monkeypatch):
    train(tmp_path, 1)
    found = [dict(library, threads=64, kernels="Other") for library in blas.describe_blas()]
    if not found:
        pytest.skip("no BLAS that threadpoolctl knows")
    monkeypatch.setattr("xbnet.training.conditions.describe_blas", lambda: found)
    with caplog.at_level(logging.WARNING):
        train(tmp_path, 2, resume=True)
    (line,) = caplog.messages
    assert line.startswith(f"resume: {tmp_path / 'epoch-00000001.safetensors'} was kept under other conditions (")
    assert "threads 1, now 64" in line.replace(f"threads {blas.describe_blas()[0]['threads']}", "threads 1")
    assert "kernels" in line
    assert "\n" not in line


def test_long_lists_of_differences_are_cut(caplog):
    compare_conditions("x", {str(i): "a" for i in range(9)}, {str(i): "b" for i in range(9)})
    assert caplog.messages[0].count(", now b") == 4
    assert "and 5 more" in caplog.messages[0]


@pytest.mark.slow
def test_another_kernel_of_openblas_is_said_on_the_command_line(tmp_path):
    if not any(library["name"] == "openblas" for library in blas.describe_blas()):
        pytest.skip("another BLAS")
    run = [*COMMAND, "train", "--data", "swissroll", "--quiet", "--epochs"]

    def train(kernel, *words):
        return subprocess.run(
            [*run, *words], env=os.environ | {"OPENBLAS_CORETYPE": kernel}, capture_output=True, text=True, check=True
        ).stderr

    assert not train("Haswell", "1", "--checkpoint-every", "1", "--out", str(tmp_path / "a"))
    said = train("Nehalem", "2", "--resume", str(tmp_path / "a"))
    assert "(openblas kernels Haswell, now Nehalem)" in said
    assert said.count("\n") == 1


def test_fewer_epochs_than_there_are_are_refused(tmp_path):
    train(tmp_path, 3)
    line = r"epoch-00000003\.safetensors has 3 epochs done, got epochs=2; give 3 or more$"
    with pytest.raises(xbnet.ConfigError, match=line):
        train(tmp_path, 2, resume=True)


@pytest.mark.parametrize(("schedule", "said"), [("cosine", True), ("exponential", False), ("plateau", False)])
def test_more_epochs_under_a_schedule_that_goes_by_them_are_said(tmp_path, caplog, schedule, said):
    train(tmp_path, 2, schedule=schedule)
    train(tmp_path, 2, schedule=schedule, resume=True)
    assert not caplog.records
    train(tmp_path, 4, schedule=schedule, resume=True)
    line = (
        "resume: the schedule goes by the number of epochs, and that was 2: the first 2 epochs had other rates than in a "
        "run of 4"
    )
    assert caplog.messages == [line] * said


def test_two_runs_into_one_folder_at_once_are_refused(tmp_path):
    from xbnet.files import only_one

    train(tmp_path, 1)
    with only_one(tmp_path), pytest.raises(xbnet.ConfigError, match="another run is writing there"):
        train(tmp_path, 2, resume=True)
    train(tmp_path, 2, resume=True)
