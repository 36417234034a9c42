"""Measures the work of a script, without the start of Python and imports."""

import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

WARM_UP = "--warm-up"
"""The argument with which the work is done once before it is measured."""


def measure(work: Callable[..., object], rounds: int = 1) -> None:
    """Does the work with the texts of the command line, prints what each round took as JSON."""
    texts = [each for each in sys.argv[1:] if each != WARM_UP]
    if len(texts) < len(sys.argv) - 1:
        work(*texts)
    print(json.dumps([measure_once(partial(work, *texts)) for _ in range(rounds)]))


def measure_once(work: Callable[[], object], cpu: Callable[[], float] = time.process_time) -> dict[str, float]:
    """Does the work; returns what it took. `cpu` reads the CPU seconds that are counted."""
    began, used = time.perf_counter(), cpu()
    work()
    seconds, cpu_seconds = time.perf_counter() - began, cpu() - used
    return {"seconds": seconds, "cpu_seconds": cpu_seconds, "highest_mib": _highest_mib()}


def _highest_mib() -> float:
    """The most resident memory that this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
