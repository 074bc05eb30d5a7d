import time

import numpy as np

import xbnet
from tests.support import cases
from xbnet.progress import progress_bar

TQDM_WAITS = 0.12
"""Seconds between two lines that the bar prints, and a little more."""


def run(progress):
    net = cases.network(replicas=2)
    more = {
        "epochs": 2,
        "batch_size": 8,
        "progress": progress,
        "on_epoch": lambda record: progress and time.sleep(TQDM_WAITS),
    }
    xbnet.fit(net, "cross_entropy", "sgd", cases.samples(n=20), **more)


def test_a_bar_on_stderr_when_asked_for(capsys):
    run(True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "2/2" in printed.err
    assert "train_loss" in printed.err
    assert "val_accuracy" not in printed.err


def test_silence_where_stderr_is_no_terminal(capsys):
    run(None)
    run(False)
    assert capsys.readouterr() == ("", "")


def test_figures_are_the_best_of_the_stack(capsys):
    figures = {"train_loss": [0.5, 0.25], "val_accuracy": [np.nan, 0.75], "val_r2": [np.nan, np.nan]}
    record = {name: np.array(values) for name, values in figures.items()}
    with progress_bar(True, total=1, unit="epoch") as advance:
        time.sleep(TQDM_WAITS)
        advance(record)
    assert "train_loss 0.2500, val_accuracy 0.7500" in capsys.readouterr().err
