"""BLAS computes on one thread while anybody holds it, and on as many as before afterwards."""

import subprocess
import sys
import threading

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from xbnet.backends import blas
from xbnet.backends.blas import describe_blas, one_blas_thread


def threads():
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


@pytest.fixture
def two():
    """BLAS on two threads, as the main thread's own limit has it."""
    with threadpool_limits(2, user_api="blas"):
        if threads() != {2}:
            pytest.skip("this BLAS has one thread only")
        yield


def in_thread(call):
    found = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join()
    return found[0]


def test_the_last_of_several_holders_gives_back(two):
    with one_blas_thread():
        first, second = threading.Event(), threading.Event()

        def short():
            with one_blas_thread():
                first.set()
                second.wait(300)

        other = threading.Thread(target=short)
        other.start()
        first.wait(300)
        second.set()
        other.join()
        assert threads() == {1}
    assert threads() == {2}


def test_another_thread_can_hold_what_the_main_thread_has_limited(two):
    def held():
        with one_blas_thread():
            return threads()

    assert in_thread(held) == {1}
    assert threads() == {2}


def test_a_limit_that_ends_meanwhile_is_what_is_given_back(two):
    limit = threadpool_limits(3, user_api="blas")
    holder = one_blas_thread()
    holder.__enter__()
    limit.restore_original_limits()  # of the main thread's
    with one_blas_thread():
        assert threads() == {1}
    holder.__exit__(None, None, None)
    assert threads() == {2}


def test_each_thread_holds_for_itself_where_blas_runs_on_openmp(monkeypatch):
    numbers = threading.local()

    class Library:
        internal_api, version, filepath, threading_layer = "openblas", "0.3", "/lib/libopenblas.so", "openmp"

        def get_num_threads(self):
            return getattr(numbers, "n", 4)

        num_threads = property(get_num_threads)

        def set_num_threads(self, n):
            numbers.n = n

    monkeypatch.setattr(blas, "libraries", lambda: [Library()])

    def held():
        with one_blas_thread():
            inside = Library().num_threads
        return inside, Library().num_threads

    with one_blas_thread():
        assert Library().num_threads == 1
        assert in_thread(held) == (1, 4)
    assert Library().num_threads == 4


def test_a_blas_that_does_not_listen_is_one_line(monkeypatch):
    class Deaf:
        internal_api, version, filepath, num_threads = "openblas", "0.3", "/lib/libopenblas.so", 4

        def get_num_threads(self):
            return 4

        def set_num_threads(self, n):
            pass

    monkeypatch.setattr(blas, "libraries", lambda: [Deaf()])
    line = r"^openblas 0.3 can't be held to one thread and computes on 4: results"
    with pytest.warns(RuntimeWarning, match=line), one_blas_thread():
        pass
    assert not blas._holders.count


def test_what_is_said_of_blas():
    found = describe_blas()
    assert found or not threadpool_info()
    assert all({"name", "version", "kernels", "threading", "threads"} == set(one) for one in found)


FORK = """
import os, threading
from xbnet.backends import blas
blas._holders.lock.acquire()  # as a thread that is just asking would have it
if not (child := os.fork()):
    with blas.one_blas_thread():
        os._exit(0)
import signal, time
for _ in range(2400):
    if os.waitpid(child, os.WNOHANG)[0]:
        raise SystemExit(0)
    time.sleep(0.05)
os.kill(child, signal.SIGKILL)
raise SystemExit(1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
def test_a_fork_while_another_thread_asks_hangs_nobody():
    assert subprocess.run([sys.executable, "-c", FORK], timeout=300, check=False).returncode == 0
