"""`--embed-numbers` and the space's `embed_numbers`: from raw rows to a model, and on from there."""

import numpy as np
import pytest

from tests.support.errors import refuses
from tests.support.tables import made_table, write_csv
from xbnet import ConfigError, load_dataset, load_model, quantile_bins, sweep
from xbnet.cli import main

pytest.importorskip("pyarrow")
pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def table(tmp_path):
    return str(write_csv(tmp_path / "t.csv", made_table(90)))


@pytest.mark.parametrize("how", ["periodic", "piecewise_linear"])
def test_members_become_one_that_is_told_and_goes_on(how, table, tmp_path, capsys):
    flags = ["train", "--data", table, "--target", "price", "--drop", "kind", "--quiet", "--val", "0.2"]
    flags += ["--embed-numbers", how]
    whole, part = str(tmp_path / "whole"), str(tmp_path / "part")
    assert main([*flags, "--out", whole, "--epochs", "4", "--schedule", "constant"]) == 0
    more = ["--epochs", "2", "--schedule", "constant", "--checkpoint-every", "1"]
    assert main([*flags, "--out", part, *more]) == 0
    assert main(["train", "--resume", part, "--epochs", "4", "--quiet"]) == 0
    one, other = load_model(whole), load_model(part)
    np.testing.assert_array_equal(one.predict_proba(table), other.predict_proba(table))
    layer = one.network.layers[0]
    assert [one.features[at] for at in layer.columns] == ["label", "age", "joined", "size (cm)"]
    assert layer.dim == (13 if how == "periodic" else 16)
    if how == "piecewise_linear":  # of the training part alone
        train = load_dataset(table, target="price", drop=["kind"], scaling="standard", val=0.2, rng=0).train.x
        for found, expected in zip(layer.bins, quantile_bins(train[:, layer.columns]), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    capsys.readouterr()
    assert main(["info", whole]) == 0
    assert type(layer).__name__ in capsys.readouterr().out


def test_no_number_is_one_line(table, capsys):
    flags = ["train", "--data", table, "--target", "kind", "--columns", "city,member", "--embed-numbers", "periodic"]
    assert main(flags) == 2
    line = "--embed-numbers periodic: expected inputs that are numbers, of three values or more, got none; leave it out"
    assert capsys.readouterr().err == f"xbnet: {table}: {line}\n"


def test_sweeps_with_folds_and_codes(table, tmp_path):
    data = load_dataset(table, target="price", drop=["kind"], scaling="none", one_hot=2)
    space = {"embed_numbers": ["none", "periodic"], "hidden": [(4,)]}
    more = {"optimizer": "adam", "lr": 0.01, "epochs": 2, "folds": 2, "scaling": "standard"}
    result = sweep(space, data, **more, out=tmp_path / "s")
    kinds = [[type(layer).__name__ for layer in result.network(i).layers] for i in range(4)]
    assert sorted(map(len, kinds)) == [3, 3, 4, 4]
    assert all(kind[:2] == ["Embedding", "PeriodicEmbedding"] for kind in kinds if len(kind) == 4)
    member = next(i for i, kind in enumerate(kinds) if len(kind) == 4)
    inputs = [name for at, name in enumerate(data.schema.input_names) if at not in data.codes]
    columns = result.network(member).layers[1].columns
    assert [inputs[at] for at in columns] == ["label", "age", "joined", "size (cm)"]
    assert result.refit().model.predict_proba(table).shape == (90, 1)
    only = load_dataset(table, target="kind", columns=["city", "member"])
    with refuses(
        ConfigError,
        f"{table}: embed_numbers=periodic: expected inputs that are numbers, of three values or more, got none; "
        "leave it out",
    ):
        sweep({"embed_numbers": ["periodic"]}, only, epochs=1)
