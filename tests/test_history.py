import json

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import ConfigError, History
from xbnet.history import PER_REPLICA, plain


def run(replicas=1, **settings):
    net = cases.network(replicas=replicas)
    return xbnet.fit(net, "cross_entropy", "sgd", cases.samples(n=20), epochs=2, batch_size=8, **settings)


@pytest.mark.parametrize("replicas", [1, 2])
def test_json_lines(tmp_path, replicas):
    history, path = run(replicas), tmp_path / "history.jsonl"
    history.to_jsonl(path)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [json.loads(line) for line in history.lines()]
    assert [row["epoch"] for row in rows] == [1, 2]
    for row, record in zip(rows, history.records, strict=True):
        assert set(row) == {"epoch", "seconds", "samples_per_second", *PER_REPLICA}
        assert row["val_loss"] == (None if replicas == 1 else [None, None])
        expected = record["train_loss"].tolist()
        assert row["train_loss"] == (expected[0] if replicas == 1 else expected)
    assert list(tmp_path.iterdir()) == [path], "no temporary file is left"


def test_a_place_that_cannot_be_written(tmp_path):
    path = tmp_path / "absent" / "history.jsonl"
    with refuses(ConfigError, f"{path}: can't be written (No such file or directory); choose another place"):
        run().to_jsonl(path)


def test_figures_by_name():
    one, two = run(1), run(2)
    assert one["train_loss"].shape == (2,)
    assert two["train_loss"].shape == (2, 2)
    assert two["seconds"].shape == one["seconds"].shape == (2,)
    with pytest.raises(ConfigError, match="history: unknown figure 'val_los'; did you mean 'val_loss'"):
        one["val_los"]
    assert two.seconds == pytest.approx(two["seconds"].sum())


def test_before_the_first_epoch():
    history = History(2)
    assert len(history) == 0
    assert history.status == ["running", "running"]
    assert np.isnan(history.at_best("val_loss")).all()
    assert repr(history) == "History(0 epochs, 2 replicas, 0.0 s)"


def test_plain():
    assert plain(np.array([1.5, np.nan, np.inf])) == [1.5, None, None]
    assert plain(np.array([2.0]), replicas=1) == 2.0
    assert plain(np.array([2.0]), replicas=2) == [2.0]
    assert plain(np.float32(0.5)) == 0.5
    assert plain(np.int64(3)) == 3
    assert type(plain(np.int64(3))) is int
    assert plain("name") == "name"


def test_a_single_epoch_is_drawn_at_a_whole_number():
    history = run(1)
    del history.records[1:]
    axis = history.plot().axes[0]
    low, high = axis.get_xlim()
    assert [tick for tick in axis.get_xticks() if low <= tick <= high] == [1]
