"""The rows that a report shows are those of the table, whatever the schema made of them."""

import numpy as np
import pytest

import xbnet
from xbnet.reports.rows import readable

ROWS = {
    "size": [10.0, None, 30.0, 40.0] * 8,
    "city": ["Bonn", "Rome", "Rome", None] * 8,
    "member": ["true", "false", "true", "true"] * 8,
    "day": ["2020-01-01", "2021-06-01", "2019-03-01", "2022-12-24"] * 8,
    "rent": np.linspace(1, 2, 32).tolist(),
}
SHOWN = [
    ["10", "Bonn", "True", "2020-01-01"],
    ["", "Rome", "False", "2021-06-01"],
    ["30", "Rome", "True", "2019-03-01"],
    ["40", "", "True", "2022-12-24"],
]


@pytest.mark.parametrize("one_hot", [10, 1])
@pytest.mark.parametrize("scaling", ["none", "standard", "robust"])
def test_rows_of_a_table(tmp_path, scaling, one_hot):
    path = tmp_path / "t.csv"
    lines = [",".join("" if value is None else str(value) for value in row) for row in zip(*ROWS.values(), strict=True)]
    path.write_text("\n".join([",".join(ROWS), *lines]))
    data = xbnet.load_dataset(path, target="rent", scaling=scaling, one_hot=one_hot)
    names, texts = readable(data.train.x[:4], data.features, data.schema, data.schema.scaler)
    assert (names, texts) == (["size", "city", "member", "day"], SHOWN)


def test_rows_of_an_array():
    scaled = xbnet.Dataset("d", xbnet.Part(np.array([[1.0, 2], [3, 6]]), [0, 1])).scaled()
    assert readable(scaled.train.x, ["a", "b"], None, scaled.preparation) == (["a", "b"], [["1", "2"], ["3", "6"]])
    assert readable(np.array([[0.5]]), ["x0"], None, None) == (["x0"], [["0.5"]])
