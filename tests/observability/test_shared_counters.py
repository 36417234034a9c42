"""Numbers that processes share: all are added up, and none is lost with a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from regulars.observability.shared_counters import SharedCounters

COUNT = 3

_COUNTS = """
import sys
from pathlib import Path
from regulars.observability.shared_counters import SharedCounters

numbers = SharedCounters(3, Path(sys.argv[1]))
numbers.own[1] += 5
print(list(numbers.own), flush=True)
sys.stdin.read()
"""


class Process:
    """Another process: adds 5 to its second number, then waits to be ended."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", _COUNTS, str(folder)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.numbers = self._process.stdout.readline().strip()

    def kill(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.communicate(timeout=60)


def test_each_process_reads_the_counters_of_all(tmp_path: Path) -> None:
    other = Process(tmp_path)
    try:
        numbers = SharedCounters(COUNT, tmp_path)
        numbers.own[1] += 2
        assert sorted(numbers.read_all()) == [(True, [0, 2, 0]), (True, [0, 5, 0])]
    finally:
        other.kill()


def test_the_counters_of_a_killed_process_remain(tmp_path: Path) -> None:
    numbers = SharedCounters(COUNT, tmp_path)
    Process(tmp_path).kill()
    assert sorted(numbers.read_all()) == [(False, [0, 5, 0]), (True, [0, 0, 0])]


def test_the_next_process_continues_the_counters(tmp_path: Path) -> None:
    Process(tmp_path).kill()
    second = Process(tmp_path)
    second.kill()
    assert second.numbers == "[0.0, 10.0, 0.0]"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_file_without_counters_is_ignored(tmp_path: Path) -> None:
    numbers = SharedCounters(COUNT, tmp_path)
    (tmp_path / "begun").touch()
    assert list(numbers.read_all()) == [(True, [0, 0, 0])]


def test_without_a_folder_counters_are_private() -> None:
    numbers = SharedCounters(COUNT, None)
    numbers.own[0] = 1
    assert list(numbers.read_all()) == [(True, [1, 0, 0])]
