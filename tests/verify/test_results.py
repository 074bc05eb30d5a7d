"""What results print, draw, and raise; and what arguments they refuse."""

import json
import re

import numpy as np
import pytest

import xbnet
from xbnet import Linear
from xbnet.verify import catalogue

X = np.random.default_rng(0).standard_normal((5, 4))
Y = np.array([0, 1, 2, 0, 1])


class Times7(Linear):
    def backward(self, dy, dx):
        super().backward(dy, dx)
        self.dW *= 7


def network(*layers, **settings):
    return xbnet.Network([*layers, Linear(3)], 4, rng=0, **settings)


def test_table_says_what_was_tested_and_found():
    text = str(xbnet.gradient_test(network(Linear(5, "tanh"), replicas=2), "cross_entropy", X, Y, l2=0.1))
    lines = text.splitlines()
    assert lines[0] == (
        "gradient_test: 4 -> [Linear(n_outputs=5, activation='tanh'), Linear(n_outputs=3)], R=2, float32, numpy, "
        "SoftmaxCrossEntropy(), l2=0.1"
    )
    assert re.fullmatch(r"0\.W +20 +order 1\.000 +order 2\.000  ok", lines[2])
    assert any(re.fullmatch(r"theta +43 +order 1\.000 +order 2\.00\d  ok", line) for line in lines)
    assert any(line.startswith("0.W           float32 against float64: ") for line in lines)
    assert "kinks: none; seed 0" in lines
    assert lines[-1] == "PASSED"


def test_failure_names_the_worst_entry_first():
    result = xbnet.gradient_test(network(Times7(5, "tanh")), "cross_entropy", X, Y)
    assert not result.passed
    assert re.match(r"0\.W\[r=0, i=\d, o=\d\]: backward \S+, numeric \S+, rel 8\.6e-01$", result.failures()[0])
    assert any(re.match(r"0\.W\[r=0\]: orders 1\.00 and 1\.00, expected 1 and 2 ", f) for f in result.failures())
    with pytest.raises(xbnet.GradientError) as caught:
        result.raise_if_failed()
    assert str(caught.value).startswith("gradient_test: 4 -> [Times7(n_outputs=5, activation='tanh'), ")
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, xbnet.XbnetError)
    assert "FAILED" in repr(result)


def test_json_is_plain():
    result = xbnet.jacobian_test(Linear(3), X)
    found = json.loads(json.dumps(result.to_dict()))
    assert found["passed"] is True
    assert found["orders"]["0.W"] == [[pytest.approx(1.0), None], [pytest.approx(1.0), None]]
    comparison = xbnet.compare_gradients(network(), "mse", X, Y)
    assert json.loads(json.dumps(comparison.to_dict()))["blocks"]["0.W"]["entries"] == 12


def test_pictures_show_curves_and_reference_slopes():
    result = xbnet.gradient_test(network(Linear(5, "tanh"), replicas=2), "cross_entropy", X, Y)
    figure = result.plot()
    drawn = [axis for axis in figure.axes if axis.axison]
    assert len(drawn) == len(result.curves)
    assert drawn[0].get_yscale() == "log"
    labels = drawn[0].get_legend_handles_labels()[1]
    assert {"slope 1", "slope 2", "rounding"} < set(labels)
    lines = {line.get_label(): line for line in drawn[0].get_lines()}
    for label, order in (("slope 1", 1), ("slope 2", 2)):
        heights = np.log2(lines[label].get_ydata()[:10])
        np.testing.assert_allclose(np.diff(heights), -order, atol=1e-9)
    figure.draw_without_rendering()
    xbnet.compare_gradients(network(), "mse", X, Y).plot().draw_without_rendering()


def test_picture_of_a_failure_and_of_many_blocks():
    case = next(c for c in catalogue.catalogue() if c.name == "depth/residual 20")
    assert sum(axis.axison for axis in case.run().plot().axes) == 16
    failed = xbnet.gradient_test(network(Times7(5)), "mse", X, Y)
    assert "FAILED" in failed.plot().get_suptitle()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": X[:, :3]}, "gradient_test: expected x (R=1, B=5, I=4), got (1, 5, 3)"),
        ({"x": X[0]}, "gradient_test: expected x (N, I) or (R, B, I), got (4,); is it one sample? x[None] is a row"),
        ({"x": X * np.nan}, "gradient_test: expected finite numbers in x, got NaN or infinity"),
        ({"x": "gmm"}, "gradient_test: expected x to be numbers (N, I), got str"),
        ({"y": Y[:4]}, "gradient_test: expected y (R=1, B=5), got (1, 4)"),
        ({"y": Y + 1}, "gradient_test: expected labels in [0, C=3), got 1 to 3"),
        ({"y": Y.astype(str)}, "gradient_test: expected y to be integer labels or numbers, got <U21"),
        ({"y": X, "loss": "mse"}, "gradient_test: expected y (R=1, B=5, C=3), got (1, 5, 4)"),
        ({"y": X[:, :3]}, "cross_entropy: can't be used for multilabel; it serves classification"),
        ({"loss": "croos_entropy"}, "loss: unknown loss 'croos_entropy'; did you mean 'cross_entropy'? known are "),
        ({"sample_weight": -Y}, "gradient_test: expected sample_weight >= 0 with at least one > 0"),
        ({"sample_weight": [1.0, 2.0]}, "gradient_test: expected sample_weight (R=1, B=5), got (1, 2)"),
        ({"l2": -1.0}, "penalty: expected l2 >= 0, got -1.0"),
        ({"e0": 0.0}, "gradient_test: expected e0 > 0, got 0.0"),
        ({"steps": 3}, "gradient_test: expected steps to be a whole number >= 8, got 3"),
        ({"rng": "zero"}, "rng: expected an integer >= 0, a Generator or None, got 'zero'"),
        ({"jitter": -1.0}, "gradient_test: expected jitter >= 0, got -1.0"),
        ({"tolerance": 2.0}, "gradient_test: expected tolerance in (0, 0.5), got 2.0"),
    ],
)
def test_bad_arguments_are_one_clear_line(arguments, message):
    settings = {"loss": "cross_entropy", "x": X, "y": Y} | arguments
    with pytest.raises(xbnet.XbnetError) as caught:
        xbnet.gradient_test(network(), **settings)
    text = str(caught.value)
    assert text == message or (message.endswith(" ") and text.startswith(message))


def test_class_weights_need_labels_and_parameters_are_finite():
    loss = xbnet.MeanSquaredError(class_weight=[1, 2, 3])
    with pytest.raises(
        xbnet.ConfigError, match="gradient_test: class_weight needs integer labels, got targets; use sam"
    ):
        xbnet.gradient_test(network(), loss, X, X[:, :3])
    diverged = network()
    diverged.theta[...] = np.nan
    message = "gradient_test: expected a network with finite parameters, got NaN or infinity; has it diverged?"
    with pytest.raises(xbnet.DataError, match=re.escape(message)):
        xbnet.gradient_test(diverged, "mse", X, Y)


@pytest.mark.parametrize(("returned", "got"), [(lambda x: None, "NoneType"), (lambda x: x[:, :, :1], r"\(\d, \d, 1\)")])
def test_a_forward_that_returns_something_else_is_named(returned, got):
    class Broken(xbnet.Layer):
        def forward(self, x, training):
            return returned(x)

    with pytest.raises(xbnet.ShapeError, match=rf"^Broken.forward: expected it to return \(R=2, .*, O=4\), got {got};"):
        xbnet.jacobian_test(Broken(), np.ones((5, 4)))


def test_jacobian_test_refuses_what_is_no_layer():
    with pytest.raises(
        xbnet.ConfigError, match=r"jacobian_test: expected a layer such as xbnet.Linear\(3\), got 'tanh'"
    ):
        xbnet.jacobian_test("tanh", X)
    with pytest.raises(xbnet.ShapeError, match=r"jacobian_test: expected x \(R=1 or 2, B=5, I=4\), got \(3, 5, 4\)"):
        xbnet.jacobian_test(Linear(3), np.ones((3, 5, 4)), replicas=2)
    trained = network(Linear(5)).layers[0]
    for thing in (trained, network()):
        message = r"jacobian_test: expected x \(R=1, B=5, I=4\), got \(1, 5, 3\)"
        with pytest.raises(xbnet.ShapeError, match=message):
            xbnet.jacobian_test(thing, X[:, :3])
