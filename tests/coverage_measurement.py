"""Measures which lines and branches of the package the tests run, with SlipCover, in every process of pytest-xdist.

Each run stores its measurement; `make coverage` adds up those of the fast and of the slow tests, and fails if they cover
too little.

SlipCover compiles probes into the package, which cost much less than a tracer that is called for every line of every
module. Its own plugin is not used: it also inserts probes into the tests and into pytest's plugins.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import slipcover

RUN = os.environ.get("REGULARS_COVERAGE", "")
"""The name of a run that is measured: `make test` and `make test-slow` set it. Other runs measure nothing."""

FOLDER = Path(__file__).parent.parent / ".coverage"
"""The measurements of the last runs, by name."""

IS_WORKER = "PYTEST_XDIST_WORKER" in os.environ

SOURCE = Path(__file__).parent.parent / "src" / "regulars"

MIN_PERCENT = 98.0
"""Lines and branches of the whole package that the tests must run."""

CORE = ("auth", "aggregations", "query", "ingest", "loading", "reports", "rollups", "facts")
"""Packages of which every line and branch must run."""

_RESULT_KEY = "coverage"

# Probes are not removed: searching the process for the functions to restore costs more than passing them.
_NEVER = 1_000_000_000

Coverage = dict[str, Any]


class WorkerMeasurement:
    """The plugin of a worker: measures the modules that are imported from now on, and sends the result."""

    def __init__(self) -> None:
        self._probes = slipcover.Slipcover(branch=True, d_miss_threshold=_NEVER)
        slipcover.ImportManager(self._probes, slipcover.FileMatcher(sources=[SOURCE])).__enter__()

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Sends what has run in this process to the controller."""
        session.config.workeroutput[_RESULT_KEY] = json.dumps(self._probes.get_coverage())  # type: ignore[attr-defined]


class RunMeasurement:
    """The plugin of the controller: adds up the measurements of the workers, and stores the total."""

    def __init__(self) -> None:
        self._total: Coverage = {}

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Adds the measurement of a worker."""
        self._total = _sum(self._total, json.loads(node.workeroutput[_RESULT_KEY]))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Stores the total."""
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{RUN}.json").write_text(json.dumps({"source": _source_digest(), "coverage": self._total}))


def main() -> int:
    """Prints what no test of the last runs covers. Returns exit code 1 if that is too much, or the source has changed since."""
    # Includes the modules that no run has imported.
    total: Coverage = slipcover.Slipcover(branch=True, source=[str(SOURCE)]).get_coverage()
    for path in sorted(FOLDER.glob("*.json")):
        run = json.loads(path.read_text())
        if run["source"] != _source_digest():
            print(f"{path.name} is of another version of {SOURCE}. Run `make test` and `make test-slow` first.")
            return 1
        total = _sum(total, run["coverage"])
    slipcover.print_coverage(total, outfile=sys.stdout, skip_covered=True)
    failure = _failure(total)
    print(failure or "Coverage is as required.")
    return 1 if failure else 0


def _sum(first: Coverage, second: Coverage) -> Coverage:
    return slipcover.merge_coverage(first, second) if first else second


def _source_digest() -> str:
    digest = hashlib.sha256()
    for path in sorted(SOURCE.rglob("*.py")):
        digest.update(f"{path.relative_to(SOURCE)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _failure(measured: Mapping[str, Any]) -> str:
    """Returns what is not covered but must be; empty if all is."""
    percent = measured["summary"]["percent_covered"]
    if percent < MIN_PERCENT:
        return f"Coverage is {percent:.2f} %. Required: {MIN_PERCENT} %."
    core = [
        name
        for name, each in measured["files"].items()
        if any(fnmatch(name, f"*src/regulars/{package}/*") for package in CORE)
        and (each["missing_lines"] or each["missing_branches"])
    ]
    return f"Not covered completely, as the core must be: {', '.join(core)}." if core else ""


def _plugin() -> WorkerMeasurement | RunMeasurement | None:
    if not RUN:
        return None
    return WorkerMeasurement() if IS_WORKER else RunMeasurement()


plugin = _plugin()
"""Registered by conftest.py, which imports this module before the package."""


if __name__ == "__main__":
    sys.exit(main())
