"""What notebooks show: HTML that is escaped and self-contained, pictures as PNG, and short texts."""

import base64
import re
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.errors import refuses
from xbnet import notebook, plots, progress
from xbnet.errors import ConfigError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def trained():
    net = cases.network(replicas=2)
    data = cases.samples(n=20)
    return net, xbnet.fit(net, "cross_entropy", "sgd", data, epochs=3, batch_size=8), data


def pictures(page):
    return [base64.b64decode(data) for data in re.findall(r"data:image/png;base64,([^\"]+)", page)]


def test_a_history_shows_its_curves_and_its_size(trained):
    _, history, _ = trained
    page = history._repr_html_()
    assert "3 epochs, 2 replicas" in page
    assert [data[:8] for data in pictures(page)] == [PNG]
    assert "0 epochs" in xbnet.History(1)._repr_html_()


def test_a_history_is_a_table(trained):
    _, history, _ = trained
    table = history.to_pandas()
    assert table.index.names == ["epoch", "replica"]
    assert table.shape == (6, len(history.keys()) - 1)
    assert table.loc[(2, 1), "train_loss"] == history["train_loss"][1, 1]
    assert dict(history).keys() == set(history.keys())


def test_a_history_of_one_network_has_a_row_per_epoch():
    history = xbnet.fit(cases.network(replicas=1), "cross_entropy", "sgd", cases.samples(n=20), epochs=2)
    assert history.to_pandas().loc[2, "lr"] == 0.1
    assert repr(history).startswith("History(2 epochs, 1 replica, ")


def test_without_pandas_the_error_says_what_to_install(trained, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with refuses(ConfigError, "history: to_pandas needs pandas; install it with: pip install pandas"):
        trained[1].to_pandas()


def test_a_network_is_a_diagram_with_shapes(trained):
    net, _, _ = trained
    page = net._repr_html_()
    assert page.count("<rect") == len(net.layers)
    assert f"(2, B, {net.n_inputs})" in page
    assert f"(2, B, {net.n_outputs})" in page


def test_a_data_set_is_a_line_and_a_table_of_its_inputs():
    x = np.array([[0.0, 1], [1, 1], [2, 4]])
    data = xbnet.Dataset("a<b>", xbnet.Part(x, np.array([0, 1, 0])), features=("<i>", "two"))
    assert repr(data) == "Dataset('a<b>': classification, train 3 rows, 2 inputs, 2 classes)"
    page = data._repr_html_()
    assert "<i>" not in page
    assert "&lt;i&gt;" in page
    assert ">2<" in page  # the mean of the second input


def test_a_test_of_gradients_shows_verdict_and_picture(trained):
    net, _, (x, y) = trained
    page = xbnet.gradient_test(net, "cross_entropy", x[:5], y[:5])._repr_html_()
    assert "passed" in page
    assert len(pictures(page)) == 1


def test_a_sweep_shows_its_configurations_and_an_ensemble_its_members():
    data = xbnet.Dataset("d", *(xbnet.Part(*cases.samples(n=n)) for n in (20, 10)))
    result = xbnet.sweep({"lr": [0.1, 0.2]}, data, hidden=(3,), epochs=1)
    assert result._repr_html_().count("<tr>") == 3
    ensemble = result.ensemble(2)
    assert repr(ensemble) == "Ensemble(2 networks)"
    assert ensemble._repr_html_().count("<tr>") == 3


def test_figures_show_without_an_inline_backend(trained):
    figure = trained[1].plot()
    assert figure._repr_png_()[:8] == PNG


def test_a_long_table_is_cut():
    page = notebook.table(["n"], [[i] for i in range(30)], most=20)
    assert page.count("<tr>") == 21
    assert "and 10 more rows" in page


def test_a_bar_shows_in_a_notebook(monkeypatch):
    assert not notebook.in_notebook()
    assert not progress.is_shown(None)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=1)))
    assert notebook.in_notebook()
    assert progress.is_shown(None)
    assert not progress.is_shown(False)


def test_pictures_are_found_by_name():
    assert xbnet.plots is plots
    assert "plots" in dir(xbnet)
