"""What `python -m benchmarks.tables` shows: on raw rows all ways to a prediction end in the same numbers; its ranks."""

import numpy as np
import pytest

from tests.support.tables import made_table

pd = pytest.importorskip("pandas")
pytest.importorskip("onnxruntime")
pytest.importorskip("pyarrow")
main = pytest.importorskip("benchmarks.tables.__main__")
from benchmarks.tables.data import TARGETS, tables  # noqa: E402
from benchmarks.tables.own import difference  # noqa: E402
from benchmarks.tables.ranks import critical_difference, ranks  # noqa: E402
from benchmarks.tables.results import Results  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.mark.parametrize("name", TARGETS)
def test_real_tables(name, real_file):
    rows = dict(tables(real_file("tables"), [name], 600))[name]
    assert difference(rows, TARGETS[name], "--epochs", "2") < 1e-6


def test_a_small_table_goes_through_every_model(tmp_path, monkeypatch):
    monkeypatch.setitem(TARGETS, "made", "kind")
    frame = pd.DataFrame(made_table(80))[["age", "city", "size (cm)", "kind"]]
    frame["age"] = pd.to_numeric(frame["age"], errors="coerce")
    frame["size (cm)"] = frame["size (cm)"].astype(float)
    frame["kind"] = "kind " + frame["kind"]
    results = Results(kept=tmp_path / "kept.jsonl")
    models = ["linear", "mlp", "trees", "train", "estimator"]
    for model in models:
        main.run(model, frame, "made", results, model, [1], False)
    again = Results([tmp_path / "kept.jsonl"]).frame(models)
    assert again.equals(results.frame(models))
    assert [*again["model"]] == models
    assert ((again["score"] > 0) & (again["loss"] > 0) & (again["fit_cpu"] > 0) & (again["predict_wall"] > 0)).all()
    bad = again.assign(score=again["score"].where(again["model"] != "train", 0.0))
    assert "| train | 0.0000" in main.table(bad)
    assert "score" in main.table(bad).split("| train |")[1].split("\n")[0]
    monkeypatch.setitem(main.MODELS, "linear", None)  # what stands in the results is not run again
    main.run("linear", frame, "made", results, "linear", [1], False)


def test_ranks_and_their_critical_difference():
    """Demsar 2006: table 5 gives q = 2.569 for four models; so 1.25 for its 14 data sets."""
    assert abs(critical_difference(4, 14) - 1.25) < 0.01
    values = {"a": [1, 2, 3], "b": [2, 2, 1], "c": [1, 3, 2]}
    lines = [{"table": t, "rows": 9, "model": "xyz"[i], "loss": row[i]} for t, row in values.items() for i in range(3)]
    found = ranks(pd.DataFrame(lines), "loss")
    assert np.allclose(found.mean, [(1 + 2.5 + 1) / 3, (2 + 2.5 + 3) / 3, (3 + 1 + 2) / 3])
