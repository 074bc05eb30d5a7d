import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import cases
from xbnet.nn.buffers import Workspace
from xbnet.nn.parameters import ParameterSpec, block_slices, carve, layout

SHAPES = st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 4), SHAPES)
def test_views_share_the_rows_and_tile_them(replicas, shapes):
    specs = layout([ParameterSpec(str(i), (m, n), is_weight=w) for i, (m, n, w) in enumerate(shapes)])
    rows = np.zeros((replicas, sum(spec.size for spec in specs)))
    views = carve(rows, specs)
    for number, (name, view) in enumerate(views.items(), start=1):
        assert np.shares_memory(view, rows)
        assert view.shape[1:] == specs[[s.name for s in specs].index(name)].shape
        view += number
    assert np.all(rows > 0), "every entry belongs to a block"
    for number, (name, part) in enumerate(block_slices(specs).items(), start=1):
        assert np.all(rows[:, part] == number), name


def test_weights_come_first_each_in_layer_order():
    net = cases.network("deep")
    names = [spec.name for spec in net.specs]
    assert names == [
        "0.W", "2.W1", "2.W2", "5.W",
        "0.b", "1.gain", "1.offset", "2.b", "4.gain", "4.offset", "5.b",
    ]  # fmt: skip
    assert net.n_weights == sum(spec.size for spec in net.specs[:4])
    assert net.n_parameters == net.theta.shape[1] == sum(spec.size for spec in net.specs)
    assert [spec.name for spec in net.state_specs] == ["1.running_mean", "1.running_var"]


@pytest.mark.parametrize("row", cases.LAYERS)
def test_every_view_of_a_network_shares_the_memory_of_theta(row):
    net = cases.network(row, replicas=3)
    for blocks, whole in ((net.parameters, net.theta), (net.gradients, net.grad), (net.statistics, net.state)):
        assert all(np.shares_memory(view, whole) for view in blocks.values())
    for k, layer in enumerate(net.layers):
        for spec in layer.parameters():
            assert getattr(layer, spec.name) is net.parameters[f"{k}.{spec.name}"]
            assert getattr(layer, "d" + spec.name) is net.gradients[f"{k}.{spec.name}"]
        for spec in layer.state():
            assert getattr(layer, spec.name) is net.statistics[f"{k}.{spec.name}"]


def test_workspace_reuses_its_memory():
    space = Workspace(np, np.float32, 2)
    large = space.carve({"a": ("x", (8, 3)), "b": ("y", (8,))})
    assert {key: array.shape for key, array in large.items()} == {"a": (2, 8, 3), "b": (2, 8)}
    held = space.nbytes()
    small = space.carve({"a": ("x", (5, 3))})["a"]
    assert small.flags.c_contiguous
    assert np.shares_memory(small, large["a"])
    assert space.carve({"a": ("x", (8, 3)), "b": ("y", (8,))}) is large
    assert space.nbytes() == held == 4 * (2 * 8 * 3 + 2 * 8)
    larger = space.carve({"a": ("x", (9, 3))})["a"]
    assert larger.shape == (2, 9, 3)
    assert np.shares_memory(space.carve({"c": ("x", (1,))})["c"], larger)


def test_slots_of_one_name_share_memory_and_others_do_not():
    space = Workspace(np, np.float64, 1)
    arrays = space.carve({"a": ("x", (4,)), "b": ("x", (2, 3)), "c": ("y", (4,))})
    assert np.shares_memory(arrays["a"], arrays["b"])
    assert not np.shares_memory(arrays["a"], arrays["c"])
