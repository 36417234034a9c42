"""Results of benchmarks: figures with their spread, targets, and the machine that they were measured on."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "results"


class Machine(msgspec.Struct, frozen=True):
    """The machine of a benchmark."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]
    settings: dict[str, str]


class Figure(msgspec.Struct, frozen=True):
    """A measured number: median, lowest and highest of `rounds` rounds."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    rounds: int


class Target(msgspec.Struct, frozen=True):
    """A claim of the project, its measurement, and whether it is met."""

    claim: str
    measured: str
    met: bool


class Table(msgspec.Struct, frozen=True):
    """A table of figures."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Result(msgspec.Struct, kw_only=True):
    """Result of one run of a benchmark. `scale` 1 is the size that the targets refer to."""

    name: str
    title: str
    command: str
    scale: float
    began: str
    seconds: float
    machine: Machine
    how: list[str] = []
    figures: list[Figure] = []
    targets: list[Target] = []
    tables: list[Table] = []


class Findings:
    """Collects the result of a run."""

    def __init__(self) -> None:
        self.how: list[str] = []
        self.figures: list[Figure] = []
        self.targets: list[Target] = []
        self.tables: list[Table] = []

    def describe(self, text: str) -> None:
        """Adds a sentence about the method."""
        self.how.append(text)

    def record(self, name: str, values: Sequence[float] | float, unit: str) -> float:
        """Records a number of one or several rounds; returns its median."""
        rounds = [values] if isinstance(values, int | float) else list(values)
        median = statistics.median(rounds)
        self.figures.append(Figure(name, median, unit, min(rounds), max(rounds), len(rounds)))
        return median

    def target_at_least(self, claim: str, value: float, least: float, unit: str = "") -> None:
        """Records a target with a lower bound."""
        self.targets.append(Target(claim, with_unit(value, unit), value >= least))

    def target_at_most(self, claim: str, value: float, most: float, unit: str = "") -> None:
        """Records a target with an upper bound."""
        self.targets.append(Target(claim, with_unit(value, unit), value <= most))

    def target(self, claim: str, measured: str, met: bool) -> None:
        """Records a target that is not a single number."""
        self.targets.append(Target(claim, measured, met))

    def add_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Records a table of figures."""
        self.tables.append(Table(title, list(columns), [list(row) for row in rows]))


def format_number(value: float) -> str:
    """Formats a number with its significant digits."""
    size = abs(value)
    if size >= 1_000 or (value == int(value) and size >= 1):
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def with_unit(value: float, unit: str) -> str:
    """Formats a number with its unit."""
    return f"{format_number(value)} {unit}".strip()


def save(result: Result, folder: Path) -> None:
    """Stores a result as the last run of its benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(result), indent=2)
    (folder / f"{result.name}.json").write_bytes(content + b"\n")


def load_results(folder: Path) -> dict[str, Result]:
    """The last run of each benchmark, by name."""
    results = [msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(folder.glob("*.json"))]
    return {result.name: result for result in results}
