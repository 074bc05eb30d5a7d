"""The machine's threads, beside others of the process."""

import os
import sys
import threading
import time

import pytest


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is forked there")
def test_child_forked_while_a_thread_holds_blas_takes_the_lock_too():
    threads = pytest.importorskip("xbnet.backends.machine.threads")
    lock, held = threads._single[0], threading.Event()

    def hold():
        with lock:
            held.set()
            time.sleep(0.1)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    child = os.fork()
    if not child:
        os._exit(0 if lock.acquire(timeout=2) else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
