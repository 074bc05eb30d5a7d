"""Pictures: what is drawn, and what is left out."""

import numpy as np
import pytest

import xbnet
from tests.support import cases
from tests.support.runs import TARGETS, X, Y
from xbnet.datasets import Scaler
from xbnet.experiments.pictures import weight_images
from xbnet.plots import decision_regions, learning_curves, save_figure


def fitted(data, loss, n_outputs):
    net = cases.network(n_outputs=n_outputs)
    return xbnet.fit(net, loss, xbnet.SGD(0.01), data, epochs=2, batch_size=10)


def test_curves_of_a_regression_show_r2_where_a_classification_has_accuracy():
    for history, name in (
        (fitted((X, Y), "cross_entropy", 3), "accuracy"),
        (fitted(TARGETS, "mse", TARGETS[1].shape[1]), "R2"),
    ):
        figure = learning_curves(history)
        assert [[line.get_label() for line in axis.lines] for axis in figure.axes] == [
            ["train loss"],
            [f"train {name}"],
        ]


def test_curves_of_a_loss_that_knows_neither_have_no_empty_half():
    class Absolute(xbnet.MeanSquaredError):
        def spread(self, targets, sample_weight=None):
            return float("nan")

    figure = learning_curves(fitted(TARGETS, Absolute(), TARGETS[1].shape[1]))
    assert len(figure.axes) == 1


def test_an_r2_far_below_zero_does_not_flatten_the_curve():
    history = fitted(TARGETS, "mse", TARGETS[1].shape[1])
    history.records[0]["train_r2"][:] = -1e6
    assert learning_curves(history).axes[1].get_ylim()[0] == -1


NAMES = ["$10K_to_$20K", "<$10K", "_other"]


def test_names_are_drawn_as_they_are(tmp_path):
    """Dollar signs are no formulas, and an underscore in front hides no class."""
    net = xbnet.Network([xbnet.Linear(3)], 2, rng=0)
    figure = decision_regions(net, X[:, :2], Y, classes=NAMES, resolution=5)
    save_figure(figure, tmp_path / "regions.png")
    shown = [text._preprocess_math(text.get_text()) for text in figure.legends[0].get_texts()]
    assert shown == [(name, False) for name in NAMES]
    figure = decision_regions(net, X[:, :2], Y, features=["$a_{", "b$"], scaler=Scaler([5, 7], [2, 3]), resolution=3)
    axis = figure.axes[0]
    assert [axis.xaxis.label._preprocess_math(axis.get_xlabel()), axis.get_ylabel()] == [("$a_{", False), r"b\$"]
    shown = np.concatenate([points.get_offsets() for points in axis.collections[1:]])
    np.testing.assert_allclose(np.sort(shown, axis=0), np.sort(X[:, :2] * [2, 3] + [5, 7], axis=0))
    save_figure(figure, tmp_path / "regions.png")
    figure = weight_images(np.zeros((4, 3)), (1, 2, 2), NAMES)
    save_figure(figure, tmp_path / "weights.png")


@pytest.mark.filterwarnings("error")
def test_characters_that_the_font_lacks_are_boxes_without_a_word(tmp_path):
    net = xbnet.Network([xbnet.Linear(3)], 2, rng=0)
    save_figure(decision_regions(net, X[:, :2], Y, classes=["猫", "犬", "鳥"], resolution=5), tmp_path / "a.png")
