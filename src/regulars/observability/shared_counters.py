"""Numbers that the processes of one server share: each writes its own, and any of them reads all."""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_BYTES = 8


class SharedCounters:
    """`count` numbers of this process, 0 to begin with, in memory that the others can read.

    Each process has a file in the folder, and the lock on it for as long as it lives. The numbers of one that
    has died stay, and the next to come goes on with them: what is counted never falls, and there are never
    more files than there were processes at once. Without a folder the numbers are this process's alone.
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
        self.own = _as_numbers(content)

    def read_all(self) -> Iterator[tuple[bool, list[float]]]:
        """The numbers of each process, and whether it lives."""
        yield True, list(self.own)
        if self._folder is None:
            return
        for path in self._folder.iterdir():
            if path == self._path:
                continue
            with path.open("rb") as file:
                content = file.read(self._size)
                # A file that was made this moment has nothing in it yet.
                if len(content) == self._size:
                    yield not _locked(file, fcntl.LOCK_SH), list(_as_numbers(content))


def _as_numbers(content: mmap.mmap | bytes) -> "memoryview[float]":
    return memoryview(content).cast("d")


def _own_file(folder: Path) -> BinaryIO:
    """The file of a process that has died, or else a new one; it is locked until this process ends."""
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
