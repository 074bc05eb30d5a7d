"""An estimator that one thread fits anew while others predict; fits of a search, each in a thread of its own."""

import _thread
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from xbnet import StackedSearchCV, XBClassifier
from xbnet.estimators.meeting import Abandoned, Call

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


class Pressing(FunctionTransformer):
    """Presses Ctrl-C while the second of the fits prepares its rows."""

    fits = 0

    def fit(self, X, y=None):
        Pressing.fits += 1
        if Pressing.fits == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return super().fit(X, y)


@pytest.mark.parametrize("when", ["preparing", "training"])
def test_an_interrupted_search_ends_all_fits_that_wait(monkeypatch, when):
    first = Pressing() if when == "preparing" else FunctionTransformer()
    if when == "training":
        monkeypatch.setattr(
            "xbnet.estimators.search.fit_stacked", lambda tasks, n_jobs: signal.raise_signal(signal.SIGINT)
        )
    before, ended = _thread._count(), []
    net = XBClassifier((4,), max_iter=1, random_state=0)
    monkeypatch.setattr(Call, "wait", ending(Call.wait, ended))
    search = StackedSearchCV(make_pipeline(first, net), {"xbclassifier__alpha": [0.0, 0.1]}, cv=2, refit=False)
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have let it be ignored
    try:
        with pytest.raises(KeyboardInterrupt):
            search.fit(X, labels(3))
    finally:
        signal.signal(signal.SIGINT, handler)
    assert ended
    for _ in range(100):
        if _thread._count() == before:
            break
        time.sleep(0.01)
    assert _thread._count() == before


def ending(wait, ended):
    """`wait`, which notes each that nobody waits for any more."""

    def waits(call, task):
        try:
            wait(call, task)
        except Abandoned:
            ended.append(task)
            raise

    return waits


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_child_that_is_forked_while_a_thread_draws_from_numpys_own_stream_can_fit():
    taken = threading.Event()

    def draw():
        with np.random.get_bit_generator().lock:
            taken.set()
            time.sleep(0.2)

    thread = threading.Thread(target=draw)
    thread.start()
    taken.wait()
    child = os.fork()
    if not child:
        signal.alarm(20)
        np.random.seed(0)  # noqa: NPY002 - what an estimator without a random_state draws from
        os._exit(0)
    thread.join()
    assert os.waitpid(child, 0)[1] == 0


DRAWING_BESIDE_A_FORK = """
import os, threading
import numpy as np

def wait_for_one_who_draws():
    thread = threading.Thread(target=np.random.random)
    thread.start()
    thread.join(10)
    ended.append(not thread.is_alive())

ended = []
os.register_at_fork(before=wait_for_one_who_draws)  # runs after those of what is imported later
import xbnet
xbnet.XBClassifier
child = os.fork()
if not child:
    os._exit(0)
os.waitpid(child, 0)
assert ended == [True]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_the_handlers_of_others_may_wait_for_a_thread_that_draws_before_a_fork():
    subprocess.run([sys.executable, "-c", DRAWING_BESIDE_A_FORK], check=True, timeout=60)
