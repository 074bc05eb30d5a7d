import csv

import numpy as np
import pytest

import xbnet
from tests.support.errors import refuses
from xbnet.training.callbacks import CSVLog, PrintEpochs, StopAt, TensorBoard, TimeLimit

X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


def train(callbacks, replicas=1, **settings):
    net = xbnet.Network([xbnet.Linear(2)], 3, replicas=replicas, rng=0)
    settings = {"epochs": 4, "rng": 0} | settings
    return xbnet.fit(net, "cross_entropy", xbnet.SGD(0.1), (X, Y), callbacks=callbacks, **settings)


def rows_of(path):
    return list(csv.DictReader(path.read_text().splitlines()))


class Note:
    """Notes epochs; stops at one of them."""

    def __init__(self, stop_at=0):
        self.seen, self.stop_at, self.closed = [], stop_at, 0

    def on_epoch(self, record):
        self.seen.append(record["epoch"])
        return record["epoch"] == self.stop_at

    def close(self):
        self.closed += 1


def test_each_callback_sees_each_epoch_and_any_of_them_stops_the_run():
    first, second, seen = Note(stop_at=2), Note(), []
    history = train([first, second], on_epoch=lambda record: seen.append(record["epoch"]))
    assert first.seen == second.seen == seen == [1, 2]
    assert history.status == ["stopped"]
    assert first.closed == second.closed == 1


def test_callbacks_are_closed_by_an_error_too():
    note = Note()
    with pytest.raises(ZeroDivisionError):
        train([note], on_epoch=lambda record: 1 / 0)
    assert note.closed == 1


@pytest.mark.parametrize(
    ("callbacks", "line"),
    [
        (Note(), "fit: expected callbacks as a list, got Note"),
        ([Note], "fit: expected callbacks[0] to be an object, got the class Note itself"),
        ([Note(), 3], "fit: expected callbacks[1] to have a method on_epoch(record), got int"),
        (
            [print],
            "fit: expected callbacks[0] to have a method on_epoch(record), got builtin_function_or_method; "
            "a function goes to on_epoch=",
        ),
    ],
)
def test_what_is_no_callback_is_refused(callbacks, line):
    with refuses(xbnet.ConfigError, line):
        train(callbacks)


def test_stop_at_waits_for_all_networks_or_the_first():
    record = {"val_accuracy": np.array([0.95, 0.5, np.nan]), "train_loss": np.array([0.1, 0.5, np.nan])}
    assert not StopAt("val_accuracy", 0.9).on_epoch(record)
    assert StopAt("val_accuracy", 0.9, first=True).on_epoch(record)
    assert StopAt("val_accuracy", 0.5).on_epoch(record)
    assert StopAt("train_loss", 0.5).on_epoch(record)
    assert not StopAt("train_loss", 0.4).on_epoch(record)
    assert not StopAt("train_loss", 0.4).on_epoch({"train_loss": np.array([np.nan])})
    with pytest.raises(
        xbnet.ConfigError, match=r"^StopAt: unknown figure 'val_acuracy'; did you mean 'val_accuracy'\?"
    ):
        StopAt("val_acuracy", 0.9)
    with refuses(xbnet.ConfigError, "StopAt: expected value to be a number, got 'high'"):
        StopAt("val_loss", "high")


def test_a_time_limit_begins_with_the_first_epoch_of_each_run():
    limit = TimeLimit(100)
    assert not limit.on_epoch({"seconds": 99.0})
    limit.close()
    assert not limit.on_epoch({"seconds": 99.0})
    assert TimeLimit(1e-9).on_epoch({"seconds": 0.1})
    with refuses(xbnet.ConfigError, "TimeLimit: expected seconds in (0, inf), got 0"):
        TimeLimit(0)


def test_a_csv_log_holds_a_row_per_epoch_and_network(tmp_path):
    log = CSVLog(tmp_path / "log.csv")
    for _ in range(2):  # a run that begins anew replaces it
        history = train([log], replicas=2)
    rows = rows_of(tmp_path / "log.csv")
    assert [(row["epoch"], row["replica"]) for row in rows] == [(str(e), r) for e in range(1, 5) for r in "01"]
    assert [float(row["train_loss"]) for row in rows] == history["train_loss"].ravel().tolist()
    assert {row["val_loss"] for row in rows} == {""}


def test_a_csv_log_of_a_resumed_run_goes_on(tmp_path):
    for epochs, resume in ((2, False), (4, True)):
        train([CSVLog(tmp_path / "log.csv")], epochs=epochs, resume=resume, checkpoint=tmp_path, checkpoint_every=1)
    assert [row["epoch"] for row in rows_of(tmp_path / "log.csv")] == list("1234")


def test_a_csv_log_holds_the_stages_before_the_run(tmp_path):
    net = xbnet.Network([xbnet.Linear(4, "tanh"), xbnet.Linear(4, "tanh"), xbnet.Linear(2)], 3, rng=0)
    log = CSVLog(tmp_path / "log.csv")
    xbnet.fit(net, "cross_entropy", "sgd", (X, Y), epochs=2, strategy="layerwise:epochs=1", callbacks=[log])
    rows = [(row["stage"], row["epoch"]) for row in rows_of(tmp_path / "log.csv")]
    assert rows == [("1", "1"), ("2", "1"), ("", "1"), ("", "2")]


def test_a_csv_log_that_cannot_be_written_is_one_line(tmp_path):
    with refuses(xbnet.ConfigError, f"CSVLog: {tmp_path} can't be written (Is a directory); name another file"):
        train([CSVLog(tmp_path)])


def test_lines_are_printed(capsys):
    train([PrintEpochs(every=3)])
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("epoch 3: train_loss 0.")
    assert "val" not in line


def test_event_files_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    train([TensorBoard(tmp_path)])
    (file,) = tmp_path.iterdir()
    assert b"train_loss" in file.read_bytes()


def test_data_may_be_named(tmp_path):
    net = xbnet.Network([xbnet.Linear(5)], 5, rng=0)
    assert len(xbnet.fit(net, "cross_entropy", "sgd", "gmm", epochs=1, batch_size=5000)) == 1
    path = tmp_path / "mine.npz"
    np.savez(path, x_train=X, y_train=Y)
    assert len(xbnet.fit(xbnet.Network([xbnet.Linear(2)], 3), "cross_entropy", "sgd", path, epochs=1)) == 1
    with pytest.raises(xbnet.ConfigError, match=r"^load_dataset: unknown data set 'gnn'; known are"):
        xbnet.fit(net, "cross_entropy", "sgd", "gnn", epochs=1)
