"""Threads that share a network, and children that are forked meanwhile."""

import copy
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import xbnet
from xbnet.nn.turns import Turns

X = np.random.default_rng(0).normal(size=(64, 3))


def network():
    return xbnet.Network([xbnet.Linear(4, "relu"), xbnet.Linear(2)], 3, replicas=2, rng=0)


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, pickle.dumps, lambda net: net.select([0]), "save"],
    ids=lambda way: str(way)[:20],
)
def test_a_copy_waits_for_its_turn(copied, tmp_path):
    net, done = network(), threading.Event()
    if copied == "save":
        copied = lambda net: xbnet.save(net, tmp_path / "m.safetensors")  # noqa: E731

    def run():
        copied(net)
        done.set()

    with net._lock:  # as in the middle of an epoch
        thread = threading.Thread(target=run)
        thread.start()
        assert not done.wait(0.1)
    assert done.wait(300)
    thread.join()


FORK = """
import os, signal, sys, threading, time
import numpy as np
import xbnet
x = np.zeros((3, 3))
net = xbnet.Network([xbnet.Linear(2)], 3, rng=0)
net._lock.__enter__()  # of this thread; the child is forked by another, as beside a thread that trains
def fork():
    child = os.fork()
    if not child:
        net.predict(x)
        os._exit(0)
    for _ in range(2400):
        if os.waitpid(child, os.WNOHANG)[0]:
            os._exit(0)
        time.sleep(0.05)
    os.kill(child, signal.SIGKILL)
    os._exit(1)
threading.Thread(target=fork).start()
time.sleep(250)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_child_that_is_forked_beside_a_training_thread_can_predict():
    assert subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], timeout=300, check=False).returncode == 0


def test_a_thread_may_take_its_turn_again():
    turns = Turns()
    with turns, turns:
        pass


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_children_that_are_forked_while_a_thread_predicts_all_end():
    net, stop = network(), threading.Event()

    def predict():
        while not stop.is_set():
            net.predict(X)

    thread = threading.Thread(target=predict)
    thread.start()
    children = []
    try:
        for _ in range(20):
            child = os.fork()
            if not child:
                try:
                    net.predict(X)
                finally:
                    os._exit(0)
            children.append(child)
        until = time.monotonic() + 120
        while children and time.monotonic() < until:
            children = [child for child in children if not os.waitpid(child, os.WNOHANG)[0]]
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert not children
