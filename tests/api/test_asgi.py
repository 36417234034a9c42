"""A server process ends with its parent."""

import subprocess
import sys

import pytest

_WORKER = """
import ctypes, os, signal, time
from regulars import asgi

def block(number, frame):
    # As the server's own handler may do: it waits without releasing the lock of the interpreter.
    ctypes.PyDLL(None).sleep(60)

signal.signal(signal.SIGTERM, HANDLER)
asgi._stop_with_parent(os.getppid(), None, grace_seconds=0.1)
print("ready", flush=True)
time.sleep(60)
"""

_SERVER = """
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", WORKER], stdout=subprocess.PIPE)
assert worker.stdout.readline() == b"ready\\n"
"""


@pytest.mark.slow
@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "block"])
def test_a_worker_that_does_not_stop_ends_soon_after_its_parent(handler: str) -> None:
    server = _SERVER.replace("WORKER", repr(_WORKER.replace("HANDLER", handler)))
    # The worker keeps the pipe of standard error open as long as it runs.
    subprocess.run([sys.executable, "-c", server], check=True, stderr=subprocess.PIPE, timeout=30)
