"""A run of a proof: its size, seed and folder, and the figures and checks that it records."""

import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from trust.result import Check, Figure, Table

FULL_SCALE = 1.0

T = TypeVar("T")


class Progress(msgspec.Struct, Generic[T], frozen=True):
    """The finished parts of a running or aborted run."""

    seed: int
    scale: float
    parts: list[T]


class Run:
    """What a proof is run with, and what it records.

    `folder` is empty, on disk, readable by the embedded PostgreSQL, and removed after the run together with every
    process that was started in it (see trust/processes.py).
    """

    def __init__(self, folder: Path, seed: int, scale: float = FULL_SCALE, progress_file: Path | None = None) -> None:
        self.folder = folder
        self.progress_file = progress_file
        self.seed = seed
        self.scale = scale
        self.random = random.Random(seed)
        self.description: list[str] = []
        self.figures: list[Figure] = []
        self.checks: list[Check] = []
        self.tables: list[Table] = []

    def scaled_count(self, full: int, least: int) -> int:
        """Returns the number of kills, requests or values for the scale of this run."""
        return max(least, int(full * self.scale))

    def scaled_seconds(self, full: float, least: float) -> float:
        """Returns the duration of a part for the scale of this run."""
        return max(least, full * self.scale)

    def describe(self, text: str) -> None:
        """Adds a description for the page."""
        self.description.append(text)

    def figure(self, name: str, value: int | float, unit: str = "") -> None:
        """Records a number."""
        self.figures.append(Figure(name, value, unit))

    def check(self, claim: str, measured: object, holds: bool) -> None:
        """Records whether a claim holds, with what was measured."""
        self.checks.append(Check(claim, str(measured), holds))
        if not holds:
            self.log(f"FAILED: {claim}: {measured}")

    def check_none(self, claim: str, violations: Sequence[object], of: int, noun: str) -> None:
        """Records that none of `of` things violates a claim; prints the first ten violations."""
        for each in violations[:10]:
            self.log(f"  {each}")
        self.check(claim, f"{len(violations):,} violations in {of:,} {noun}", not violations and of > 0)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Records a table."""
        self.tables.append(Table(title, list(columns), [[str(cell) for cell in row] for row in rows]))

    # A run that is aborted ------------------------------------------------------------------------------

    def progress(self, kind: type[T]) -> list[T]:
        """Returns the parts of this run that were finished before it was aborted."""
        if self.progress_file is None or not self.progress_file.exists():
            return []
        return msgspec.json.decode(self.progress_file.read_bytes(), type=Progress[kind]).parts  # type: ignore[valid-type]

    def save_progress(self, parts: list[T]) -> None:
        """Stores the finished parts, so that a run with the same seed and scale continues after them."""
        if self.progress_file is not None:
            self.progress_file.parent.mkdir(parents=True, exist_ok=True)
            self.progress_file.write_bytes(msgspec.json.encode(Progress(self.seed, self.scale, parts)))

    def log(self, text: str) -> None:
        """Prints progress, with the time."""
        print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)
