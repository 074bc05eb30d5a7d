"""Labels are what the file says, and the task is not guessed in silence."""

import numpy as np
import pandas as pd
import pytest

from xbnet.cli import main
from xbnet.datasets import Dataset, Part, load_dataset
from xbnet.errors import DataError

pytestmark = pytest.mark.usefixtures("undrawn")

N = 24


@pytest.fixture
def read(tmp_path, caplog):
    """Write a target's words beside an input to a CSV file; the data set, and what was said."""

    def read(words, delimiter=",", **options):
        path = tmp_path / "set.csv"
        rows = [f"{i}{delimiter}{word}" for i, word in enumerate(words)]
        path.write_text(f"a{delimiter}y\n" + "\n".join(rows) + "\n")
        caplog.clear()
        return load_dataset(path, target="y", **options), [m.removeprefix(f"{path}: ") for m in caplog.messages]

    return read


@pytest.mark.parametrize(
    ("words", "classes"),
    [
        (["10_20", "20_30", "10_20", "30_40"], ("10_20", "20_30", "30_40")),
        (["1e5", "2d3", "2d3", "1e5"], ("1e5", "2d3")),
        (["2d3", "1e5", "1e5", "2d3"], ("1e5", "2d3")),
        (["001", "1", "002", "02"], ("001", "1", "002", "02")),
        (["+1", "-1", "-1", "+1"], ("-1", "+1")),
        (["10", "9", "-3", "9"] * 2, ("-3", "9", "10")),
        (["1", "2", "1", "2"], ("1", "2")),
        (["True", "False", "True", "False"], ("False", "True")),
        (["true", "false", "true", "false"], ("False", "True")),
        (["None", "x", "None", "x"], ("None", "x")),
        (["\u0661", "\u0662", "\u0661", "\u0662"], ("\u0661", "\u0662")),  # digits of another script are text
    ],
)
def test_classes_are_as_written_whatever_the_order(read, words, classes):
    for order in (words, words[::-1]):
        data, said = read(order)
        assert data.classes == classes
        assert [classes[i].lower() for i in data.train.y] == [word.lower() for word in order]
        assert not [line for line in said if "'y'" in line and "different" not in line]


@pytest.mark.parametrize(
    ("words", "task", "line"),
    [
        ([str(100 + 3 * i) for i in range(90)], "regression",
         "holds 90 different whole numbers in 90 rows, taken as a regression; --task classification if it is not"),
        ([str(i % 26) for i in range(600)], "classification",
         "holds 26 different whole numbers in 600 rows, taken as classes; --task regression if it is not"),
        (["1.0", "2.0"] * 12, "classification",
         "holds 2 numbers, all of them whole, taken as classes; --task regression if it is not"),
        (["5E0", "1e1"] * 12, "classification",
         "holds 2 numbers, all of them whole, taken as classes; --task regression if it is not"),
        ([str(7 * i) for i in range(20)], "regression",
         "holds 20 different whole numbers in 20 rows, taken as a regression; --task classification if it is not"),
        ([f"{i}.0" for i in range(9)], "regression",
         "holds 9 numbers, all of them whole, taken as a regression; --task classification if it is not"),
        (["1", "0"], "classification", None),
        (["0.5", "1", "2"] * 8, "regression", None),
        (["1", "2", "3"] * 8, "classification", None),
    ],
)  # fmt: skip
def test_what_was_taken_is_said(read, words, task, line):
    data, said = read(words)
    assert data.task == task
    found = [text.removeprefix("column 'y': ") for text in said if text.startswith("column 'y'")]
    assert found == ([] if line is None else [line])
    for other in ("regression", "classification"):
        assert read(words, task=other)[0].task == other
        assert not [text for text in read(words, task=other)[1] if text.startswith("column 'y'")]


def test_decimal_commas(read):
    data, said = read(["2,5", "3,5", "1.000,5"][:2] * 12, delimiter=";")
    assert (data.task, data.train.y[:2, 0].tolist()) == ("regression", [2.5, 3.5])
    assert next(line for line in said if "'y'" in line).startswith(
        "column 'y': holds numbers with decimal commas, taken as a regression; --task class"
    )
    data, _ = read(["2,5", "3,5"] * 12, delimiter=";", decimal=".")
    assert data.classes == ("2,5", "3,5")


FRAMES = {
    "whole": [1, 2, 3] * 8,
    "signs": [-1, 1] * 12,
    "gaps": [5, 10, 20, 5] * 6,
    "bools": [True, False] * 12,
    "floats": [1.0, 2.0] * 12,
    "words": ["b", "a"] * 12,
}


@pytest.mark.parametrize("name", FRAMES)
def test_every_format_gives_the_same_names(tmp_path, name):
    frame = pd.DataFrame({"a": np.arange(N) / 8, "y": FRAMES[name]})
    paths = [tmp_path / f"set.{kind}" for kind in ("csv", "parquet", "feather", "csv.gz", "tsv")]
    frame.to_csv(paths[0], index=False)
    frame.to_parquet(paths[1])
    frame.to_feather(paths[2])
    frame.to_csv(paths[3], index=False)
    frame.to_csv(paths[4], index=False, sep="\t")
    found = [load_dataset(source, target="y") for source in (*paths, frame)]
    found.append(Dataset("mine", Part(frame[["a"]], frame["y"])))
    expected = tuple(map(str, sorted(set(FRAMES[name]))))
    for data in found:
        assert data.classes == expected
        assert [data.classes[i] for i in data.train.y] == list(map(str, FRAMES[name]))
        assert data.schema.target.classes == (
            tuple(map(int, expected)) if name in ("whole", "signs", "gaps") else expected
        )
    if name != "floats":
        data = Dataset("mine", Part(np.arange(N)[:, None] / 8, np.array(FRAMES[name])))
        assert data.classes == expected
        np.savez(tmp_path / "set.npz", x=np.arange(N)[:, None] / 8, y=np.array(FRAMES[name]))
        assert load_dataset(tmp_path / "set.npz").classes == expected


@pytest.mark.parametrize("name", FRAMES)
def test_what_was_learned_is_scored(tmp_path, capsys, name):
    frame = pd.DataFrame({"a": np.arange(N) / 8, "y": FRAMES[name]})
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for trained in ("a.csv", "a.parquet"):
        flags = ["--target", "y", "--epochs", "1", "--hidden", "none", "--quiet", "--val", "4"]
        out = str(tmp_path / f"run-{trained}")
        assert main(["train", "--data", str(tmp_path / trained), *flags, "--out", out]) == 0
        for scored in ("a.csv", "a.parquet"):
            predict = ["predict", f"{out}/model.safetensors", "--data", str(tmp_path / scored), "--target", "y"]
            assert main([*predict, "--out", str(tmp_path / "p.csv")]) == 0
            assert "accuracy" in capsys.readouterr().out


def test_a_class_that_is_only_in_another_part_is_named():
    frame = pd.DataFrame({"a": np.arange(4.0), "y": [10, 20, 10, 20]})
    other = pd.DataFrame({"a": [1.0], "y": [30]})
    with pytest.raises(DataError, match=r"^mine: validation y: expected a class of the model \(10, 20\), got '30'\Z"):
        Dataset("mine", Part(frame[["a"]], frame["y"]), Part(other[["a"]], other["y"]))
    x = np.zeros((4, 1))
    with pytest.raises(DataError, match=r"^mine: test y holds the class '30', which never occurs in training; move"):
        Dataset("mine", Part(x, [10, 20, 10, 20]), test=Part(x[:1], [30]))


def test_points_and_commas_are_not_mixed(read):
    line = r"column 'y': expected a number, got '2,5' at line 3\Z"
    with pytest.raises(DataError, match=line):
        read(["1.5", "2,5"] * 12, delimiter=";", task="regression")
    assert read(["1.5", "2,5"] * 12, delimiter=";")[0].classes == ("1.5", "2,5")
