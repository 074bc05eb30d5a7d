"""What `python -m benchmarks.tables` shows: on raw rows all ways to a prediction end in the same numbers."""

import pytest

from tests.support.tables import made_table

pd = pytest.importorskip("pandas")
pytest.importorskip("onnxruntime")
pytest.importorskip("pyarrow")
tables = pytest.importorskip("benchmarks.tables")
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", tables.TARGETS)
def test_real_tables(name, real_file):
    found = dict(tables.tables(real_file("tables"), [name]))
    rows = found[name].sample(min(600, len(found[name])), random_state=0)
    assert tables.difference(rows, tables.TARGETS[name], "--epochs", "2") < 1e-6


def test_a_small_table_goes_through_every_model(tmp_path):
    frame = pd.DataFrame(made_table(80))[["age", "city", "size (cm)", "kind"]]
    frame["age"] = pd.to_numeric(frame["age"], errors="coerce")
    frame["size (cm)"] = frame["size (cm)"].astype(float)
    frame["kind"] = "kind " + frame["kind"]
    found = {model: tables.figures(model, frame, "kind") for model in tables.MODELS}
    assert all(0 < score <= 1 and loss > 0 and seconds > 0 for score, loss, seconds in found.values())
    assert tables.verdict({**found, "train": (0.0, 99.0, 1e9)}, "train", True) == "score, log loss, time"
