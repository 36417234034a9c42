"""A server process: garbage collection, and its end with its parent."""

import gc
import subprocess
import sys

from regulars.asgi import freeze_startup_objects


def test_objects_created_at_startup_are_not_garbage_collected() -> None:
    startup_object: list[object] = []
    startup_object.append(startup_object)
    try:
        freeze_startup_objects()
        assert not any(each is startup_object for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is startup_object for each in gc.get_objects())


_WORKER = """
import os, signal, time
from regulars.api import asgi
signal.signal(signal.SIGTERM, signal.SIG_IGN)
asgi._stop_with_parent(os.getppid(), None, grace_seconds=0.1)
print("ready", flush=True)
time.sleep(60)
"""

_SERVER = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {_WORKER!r}], stdout=subprocess.PIPE)
worker.stdout.readline()
"""


def test_a_worker_that_ignores_sigterm_ends_soon_after_its_parent() -> None:
    # The worker keeps the pipe of standard error open as long as it runs.
    subprocess.run([sys.executable, "-c", _SERVER], check=True, stderr=subprocess.PIPE, timeout=30)
