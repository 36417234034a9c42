"""Runs work in a separate process, with its own memory and caches."""

import os
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import msgspec

_ROOT = Path(__file__).parents[1]

OWN_PYTHON = Path(sys.executable)
PEERS_PYTHON = Path(sys.prefix) / "peers/bin/python"
"""The Python of peers that need other versions of what the benchmarks themselves need."""

HAS_PEERS_PYTHON = (Path(sys.prefix) / ".peers-installed").exists()
PEERS_MISSING = "its packages are not installed; `make bench` installs them."


class RunCost(msgspec.Struct, frozen=True):
    """Cost of one round of a script; the CPU of Spark's driver is apart from that of its executors."""

    seconds: float
    cpu_seconds: float
    highest_mib: float
    driver_cpu_seconds: float = 0.0


def peer_versions(*packages: str) -> str:
    """Versions of the installed peers."""
    folders = [str(each) for each in PEERS_PYTHON.parents[1].glob("lib/python*/site-packages")]
    versions = {each.name.lower(): each.version for name in packages for each in distributions(name=name, path=folders)}
    return ", ".join(f"{name} {versions[name]}" for name in packages)


def environment() -> dict[str, str]:
    """Environment variables of a process that imports the benchmarks and the product."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), str(_ROOT / "src")])}


def run_rounds(module: str, *arguments: object, folder: Path, python: Path = OWN_PYTHON) -> list[RunCost]:
    """Runs a script of bench/peers to its end; what it writes beside its output goes to `folder`.

    Raises RuntimeError with the end of what it said where it fails.
    """
    command = [str(python), "-W", "ignore", "-m", f"bench.peers.{module}", *(str(each) for each in arguments)]
    completed = subprocess.run(command, cwd=folder, env=environment(), capture_output=True)
    if completed.returncode:
        raise RuntimeError(f"{module} ended with {completed.returncode}:\n{completed.stderr.decode()[-4000:]}")
    # What a library prints comes before.
    return msgspec.json.decode(completed.stdout.splitlines()[-1], type=list[RunCost])


def run(module: str, *arguments: object, folder: Path, python: Path = OWN_PYTHON) -> RunCost:
    """Runs a script with one round."""
    (cost,) = run_rounds(module, *arguments, folder=folder, python=python)
    return cost
