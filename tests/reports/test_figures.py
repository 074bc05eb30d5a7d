"""What reports say of predictions, against figures worked out by hand and scikit-learn's."""

import numpy as np
import pytest

sklearn = pytest.importorskip("sklearn")

from sklearn import metrics  # noqa: E402

from xbnet.reports.figures import classification, multilabel, plain_text, regression  # noqa: E402
from xbnet.reports.importance import permutation_importance  # noqa: E402

Y = np.array([0, 0, 1, 1])
P = np.array([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.2, 0.8]])


def test_two_classes():
    found = classification(P, Y, ["no", "yes"])
    assert found.figures["accuracy"] == 0.75
    assert found.figures["balanced accuracy"] == 0.75
    assert found.figures["log loss"] == pytest.approx(-np.log([0.9, 0.4, 0.7, 0.8]).mean())
    assert found.figures["ROC AUC"] == 1.0
    assert found.losses.argmax() == 1
    head, rows = found.tables["Per class"]
    assert head == ("class", "precision", "recall", "F1", "rows")
    assert rows[1][:3] == ["yes", pytest.approx(2 / 3), 1.0]
    assert set(found.pictures) == {"Confusion matrix", "ROC and precision-recall", "Calibration"}


def test_several_classes_and_one_that_never_occurs():
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(4), 50)
    y = rng.integers(0, 3, 50)
    found = classification(p, y, list("abcd"))
    areas = [metrics.roc_auc_score(y == c, p[:, c]) for c in range(3)]
    assert found.figures["ROC AUC (mean over classes)"] == pytest.approx(np.mean(areas))
    assert found.figures["balanced accuracy"] == pytest.approx(
        metrics.recall_score(y, p.argmax(axis=1), labels=[0, 1, 2], average="macro")
    )
    assert len(found.tables["Per class"][1]) == 4


def test_one_class_has_no_curves():
    found = classification(P[:2], np.zeros(2, int), ["no", "yes"])
    assert "ROC AUC" not in found.figures
    assert set(found.pictures) == {"Confusion matrix"}


def test_a_probability_of_zero_is_no_infinity():
    found = classification(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([1, 1]), ["a", "b"])
    assert np.isfinite(found.figures["log loss"])


def test_several_labels():
    y = np.array([[1, 0], [1, 1]])
    found = multilabel(np.array([[0.8, 0.4], [0.7, 0.3]]), y, ["a", "b"])
    assert found.figures["accuracy (share of decisions)"] == 0.75
    assert found.figures["exact rows"] == 0.5


def test_a_regression_of_two_targets():
    y = np.array([[1.0, 10], [2, 20], [3, 30]])
    values = y + np.array([[0.0, 1], [0, -1], [0, 2]])
    found = regression(values, y, ["price", "$cost"])
    assert found.figures["R2 of price"] == 1.0
    assert found.figures["RMSE of $cost"] == pytest.approx(np.sqrt(2))
    assert found.figures["MAE of $cost"] == pytest.approx(4 / 3)
    assert found.losses.argmax() == 2


def test_texts_of_the_data_are_no_formulas():
    assert plain_text("$10K_to_$20K") == r"\$10K_to_\$20K"
    figure = classification(P, Y, ["$1", "$2_x"]).pictures["Confusion matrix"]
    figure.canvas.draw()
    assert figure.axes[0].get_xticklabels()[1].get_text() == r"\$2_x"


def test_only_columns_that_matter_are_important():
    x = np.random.default_rng(0).normal(size=(200, 3))
    y = x[:, 0] + x[:, 1] > 0
    found = permutation_importance(
        lambda z: float(((z[:, 0] + z[:, 1] > 0) == y).mean()), x, {"both": [0, 1], "none": [2]}, repeats=3
    )
    assert list(found) == ["both", "none"]
    assert found["both"][0] > 0.3
    assert found["none"] == (0.0, 0.0)
