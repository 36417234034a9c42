"""Counters that the processes of a server share: each process writes its own and can read all."""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BYTES = 8


class SharedCounters:
    """`count` counters of this process, initially 0, in memory that the other processes can read.

    Each process has a file in the folder and holds its lock while it runs. The file of a process that ended remains,
    and the next process continues its counters. So counters never fall, and there are never more files than concurrent
    processes. Without a folder the counters are private to this process.
    """

    def __init__(self, count: int, folder: Path | None) -> None:
        self._size = count * _BYTES
        self._folder = folder
        self._path: Path | None = None
        if folder is None:
            content = mmap.mmap(-1, self._size)
        else:
            with _own_file(folder) as file:
                self._path = Path(file.name)
                file.truncate(self._size)
                # The map keeps the file open, and with it the lock.
                content = mmap.mmap(file.fileno(), self._size)
        self.own = _as_floats(content)

    def read_all(self) -> Iterator[tuple[bool, list[float]]]:
        """Yields for each process whether it is running, and its counters."""
        yield True, list(self.own)
        if self._folder is None:
            return
        for path in self._folder.iterdir():
            if path == self._path:
                continue
            with path.open("rb") as file:
                content = file.read(self._size)
                # A file that was just created may still be empty.
                if len(content) == self._size:
                    yield not _locked(file, fcntl.LOCK_SH), list(_as_floats(content))


def _as_floats(content: mmap.mmap | bytes) -> "memoryview[float]":
    return memoryview(content).cast("d")


def _own_file(folder: Path) -> BinaryIO:
    """Opens the file of a process that ended, or a new one. It is locked until this process ends."""
    while True:
        for path in folder.iterdir():
            file = path.open("r+b")
            if _locked(file, fcntl.LOCK_EX):
                return file
            file.close()
        descriptor, _ = tempfile.mkstemp(dir=folder)
        os.close(descriptor)


def _locked(file: BinaryIO, kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
