"""An estimator that one thread fits anew while others predict."""

import threading

import numpy as np
import pytest

from xbnet import XBClassifier

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
X = np.random.default_rng(0).normal(size=(60, 4)).astype("float32")


def labels(C):
    return np.array([f"of {C}: {i}" for i in range(C)])[np.arange(60) % C]


def test_predictions_beside_a_refit_with_other_classes_are_of_the_old_or_of_the_new():
    estimator = XBClassifier((4,), max_iter=1, random_state=0).fit(X, labels(9))
    stop, wrong = threading.Event(), []

    def predict():
        while not stop.is_set():
            try:
                named = {name[:5] for name in estimator.predict(X).tolist()}
                shape = estimator.predict_proba(X).shape[1]
                if len(named) != 1 or shape not in (3, 9):
                    wrong.append((named, shape))
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=predict) for _ in range(2)]
    for thread in threads:
        thread.start()
    for i in range(30):
        estimator.fit(X, labels((3, 9)[i % 2]))
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_fit_that_is_refused_leaves_the_estimator_as_it_was():
    estimator = XBClassifier((4,), max_iter=1, random_state=0).fit(X, labels(3))
    before = estimator.predict(X)
    estimator.hidden_layer_sizes = ("nonsense",)
    with pytest.raises(Exception, match="hidden_layer_sizes"):
        estimator.fit(X, labels(9))
    estimator.hidden_layer_sizes = (4,)
    assert (estimator.predict(X) == before).all()
    assert len(estimator.classes_) == 3
