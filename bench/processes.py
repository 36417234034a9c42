"""CPU seconds and resident memory of processes, from the kernel."""

import os
import time
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_MIB = 2**20


def child_processes(process: int) -> list[int]:
    """A process and all that it started, directly or not."""
    pids = [process]
    for each in pids:
        for task in Path(f"/proc/{each}/task").glob("*"):
            pids += [int(child) for child in _text(task / "children").split()]
    return pids


def cpu_seconds(process: int) -> float:
    """CPU that a process and all that it started have used, those that ended and were waited for included."""
    alive = sum(own_cpu_seconds(each) or 0.0 for each in child_processes(process))
    return alive + ended_cpu_seconds(process)


def own_cpu_seconds(process: int) -> float | None:
    """CPU that a process itself has used; None if it has ended."""
    times = _times(process)
    return (times[0] + times[1]) * _TICK if times else None


def ended_cpu_seconds(process: int) -> float:
    """CPU of the processes that a process started, that have ended and were waited for."""
    return sum(_times(process)[2:]) * _TICK


def _times(process: int) -> list[int]:
    """Ticks of user and system time, of the process and of its ended children; empty if it has ended."""
    # The fields after the name, which may hold anything but a closing bracket.
    fields = _text(Path(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return [int(each) for each in fields[11:15]]


@dataclass(frozen=True)
class ResourceUsage:
    """Seconds that some work took, and CPU seconds of this process and of PostgreSQL meanwhile."""

    seconds: float
    client_cpu_seconds: float
    database_cpu_seconds: float

    @property
    def cpu_seconds(self) -> float:
        """CPU of both."""
        return self.client_cpu_seconds + self.database_cpu_seconds


def measure_usage(postmaster: int, work: Callable[[], object]) -> ResourceUsage:
    """Does the work and returns what it used."""
    seconds, client, database = time.perf_counter(), time.process_time(), cpu_seconds(postmaster)
    work()
    return ResourceUsage(
        time.perf_counter() - seconds, time.process_time() - client, cpu_seconds(postmaster) - database
    )


def thread_cpu_nanoseconds(process: int) -> int:
    """CPU that the main thread of a process has used, exactly."""
    return int(_text(Path(f"/proc/{process}/schedstat")).split()[0])


class ThreadClock:
    """Reads the CPU of the main thread of a process many times: its file is opened once."""

    def __init__(self, process: int) -> None:
        self._file = os.open(f"/proc/{process}/schedstat", os.O_RDONLY)
        weakref.finalize(self, os.close, self._file)

    def nanoseconds(self) -> int:
        """CPU that the thread has used; of a process that has ended, 0."""
        try:
            content = os.pread(self._file, 64, 0)
        except ProcessLookupError:
            return 0
        return int(content.partition(b" ")[0] or 0)


def resident_mib(processes: Iterable[int]) -> list[float]:
    """Resident memory of each process now."""
    return [_status(process, "VmRSS") for process in processes]


def highest_resident_mib(processes: Iterable[int]) -> list[float]:
    """The most resident memory that each process ever had."""
    return [_status(process, "VmHWM") for process in processes]


def _status(process: int, name: str) -> float:
    for line in _text(Path(f"/proc/{process}/status")).splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / _MIB
    return 0.0


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        # It ended meanwhile.
        return ""
