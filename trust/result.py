"""Results of a proof: figures, checks, and the machine."""

from pathlib import Path

import msgspec
from bench.result import Table as Table

FOLDER = Path(__file__).parent / "results"


class Machine(msgspec.Struct, frozen=True):
    """The machine of a run."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]


class Figure(msgspec.Struct, frozen=True):
    """A number, such as a count of requests or a duration."""

    name: str
    value: int | float
    unit: str = ""


class Check(msgspec.Struct, frozen=True):
    """A claim, its measurement, and whether it holds."""

    claim: str
    measured: str
    holds: bool


class Result(msgspec.Struct, kw_only=True):
    """The result of one run of a proof. `scale` 1 is the full size."""

    name: str
    title: str
    command: str
    seed: int
    scale: float
    began: str
    seconds: float
    machine: Machine
    description: list[str] = []
    figures: list[Figure] = []
    checks: list[Check] = []
    tables: list[Table] = []

    @property
    def holds(self) -> bool:
        """Whether there are checks and all of them hold."""
        return bool(self.checks) and all(check.holds for check in self.checks)


def number(value: int | float) -> str:
    """Formats a number with its significant digits."""
    if value == int(value):
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def store(result: Result, folder: Path = FOLDER) -> None:
    """Stores a result as the last run of its proof."""
    folder.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(result), indent=2)
    (folder / f"{result.name}.json").write_bytes(content + b"\n")


def load_all(folder: Path = FOLDER) -> dict[str, Result]:
    """Returns the last run of each proof by name."""
    found = [msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(folder.glob("*.json"))]
    return {result.name: result for result in found}
