"""CPU seconds and resident memory of processes, from the kernel."""

import os
from collections.abc import Iterable
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
    total = 0
    for place, each in enumerate(child_processes(process)):
        # The fields after the name, which may hold anything but a closing bracket.
        fields = _text(Path(f"/proc/{each}/stat")).rpartition(")")[2].split()
        if fields:
            total += int(fields[11]) + int(fields[12])
            total += int(fields[13]) + int(fields[14]) if place == 0 else 0
    return total * _TICK


def thread_cpu_nanoseconds(process: int) -> int:
    """CPU that the main thread of a process has used, exactly."""
    return int(_text(Path(f"/proc/{process}/schedstat")).split()[0])


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
