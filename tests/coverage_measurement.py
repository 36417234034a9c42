"""Measures which lines and branches of the package the tests run, with SlipCover, in every process of pytest-xdist.

SlipCover compiles probes into the package, which cost much less than a tracer that is called for every line of every
module. Its own plugin is not used: it also inserts probes into the tests and into pytest's plugins.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import slipcover

ENABLED = "REGULARS_COVERAGE" in os.environ
"""Set by `make test`. Other runs test only a part, and measure nothing."""

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


class CoverageReport:
    """The plugin of the controller: adds up the measurements, and fails a run that covers too little."""

    def __init__(self) -> None:
        self._total: Coverage = {}
        self._failure = ""

    def pytest_testnodedown(self, node: Any, error: object) -> None:
        """Adds the measurement of a worker."""
        self._add(json.loads(node.workeroutput[_RESULT_KEY]))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Compares the total with what is required."""
        # Adds the modules that no worker has imported.
        self._add(slipcover.Slipcover(branch=True, source=[str(SOURCE)]).get_coverage())
        self._failure = _failure(self._total)
        if self._failure and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Prints what no test runs."""
        slipcover.print_coverage(self._total, outfile=terminalreporter, skip_covered=True)
        if self._failure:
            terminalreporter.write_line(self._failure, red=True)

    def _add(self, measured: Coverage) -> None:
        self._total = slipcover.merge_coverage(self._total, measured) if self._total else measured


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


def _plugin() -> WorkerMeasurement | CoverageReport | None:
    if not ENABLED:
        return None
    return WorkerMeasurement() if IS_WORKER else CoverageReport()


plugin = _plugin()
"""Registered by conftest.py, which imports this module before the package."""
