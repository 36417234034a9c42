"""Runs `regulars` commands in forks of one process that has imported them all, because importing takes longer than most.

A client in the PATH of a shell hands over its arguments, environment, folder, and standard streams.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from regulars import cli
from regulars.aggregations import table

_CLIENT = """#!{python} -IS
import json, os, socket, sys
connection = socket.socket(socket.AF_UNIX)
connection.connect({address!r})
call = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(connection, [len(call).to_bytes(4, "big")], [0, 1, 2])
connection.sendall(call)
sys.exit(int.from_bytes(connection.recv(1), "big"))
"""


@contextmanager
def run_command_server(folder: Path) -> Iterator[Path]:
    """Yields a folder for PATH, whose `regulars` runs commands in forks."""
    address = folder / "socket"
    client = folder / "bin" / "regulars"
    client.parent.mkdir()
    client.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
    client.chmod(0o755)
    with (
        socket.socket(socket.AF_UNIX) as listener,
        subprocess.Popen([sys.executable, __file__, str(listener.fileno())], pass_fds=[listener.fileno()]) as process,
    ):
        try:
            listener.bind(str(address))
            listener.listen()
            yield client.parent
        finally:
            process.terminate()


def _serve(listener: socket.socket) -> None:
    # Compiled by the start of every command.
    table.definitions_version()
    # The system collects the forks.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for path, _ in cli.COMMANDS:
        importlib.import_module(f"regulars.cli.{path.partition(':')[0]}")
    # Forks share the memory of what exists now, unless a collection writes to it.
    gc.collect()
    gc.freeze()
    while True:
        connection, _ = listener.accept()
        # Two forks: the first one waits for the command, while this process accepts others.
        if os.fork() == 0:
            _run(connection)
            os._exit(0)
        connection.close()


def _exit(code: int) -> NoReturn:
    """Ends a fork without dismantling what it has imported."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _run(connection: socket.socket) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, streams, _, _ = socket.recv_fds(connection, 4, 3)
    with connection.makefile("rb") as stream:
        arguments, environment, folder = json.loads(stream.read(int.from_bytes(header, "big")))
    if (process_id := os.fork()) == 0:
        connection.close()
        for number, each in enumerate(streams):
            os.dup2(each, number)
            os.close(each)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = ["regulars", *arguments]
        _exit(cli.run(arguments))
    for each in streams:
        os.close(each)
    _, status = os.waitpid(process_id, 0)
    connection.sendall(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
