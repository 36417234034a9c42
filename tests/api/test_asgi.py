"""A process of the server: what it does before it answers."""

import gc
import subprocess
import sys

from regulars.api.asgi import freeze_startup_objects


def test_what_stays_is_left_out_of_garbage_collections() -> None:
    stays: list[object] = []
    stays.append(stays)
    try:
        freeze_startup_objects()
        assert not any(each is stays for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is stays for each in gc.get_objects())


_WORKER = """
import os, signal, time
from regulars.api import asgi
signal.signal(signal.SIGTERM, signal.SIG_IGN)
asgi._end_with(os.getppid(), None, seconds=0.1)
print("ready", flush=True)
time.sleep(60)
"""

_SERVER = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {_WORKER!r}], stdout=subprocess.PIPE)
worker.stdout.readline()
"""


def test_a_process_that_does_not_stop_ends_soon_after_the_one_that_serves() -> None:
    # The worker holds the pipe of the errors open for as long as it lives.
    subprocess.run([sys.executable, "-c", _SERVER], check=True, stderr=subprocess.PIPE, timeout=30)
