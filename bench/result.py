"""What a benchmark found: figures with their spread, targets met or missed, and where and how it ran."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "results"


class Machine(msgspec.Struct, frozen=True):
    """What a benchmark ran on."""

    processor: str
    cores: int
    memory_gib: float
    system: str
    versions: dict[str, str]
    settings: dict[str, str]


class Figure(msgspec.Struct, frozen=True):
    """One number: the median of `rounds` rounds, the lowest and the highest of them."""

    name: str
    value: float
    unit: str
    low: float
    high: float
    rounds: int


class Target(msgspec.Struct, frozen=True):
    """A claim of the project, what was measured of it, and whether it holds."""

    claim: str
    measured: str
    met: bool


class Table(msgspec.Struct, frozen=True):
    """Figures that are read side by side."""

    title: str
    columns: list[str]
    rows: list[list[str]]


class Result(msgspec.Struct, kw_only=True):
    """All that one benchmark found in one run. `scale` 1 is the size that the targets speak of."""

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
    """A result in the making."""

    def __init__(self) -> None:
        self.how: list[str] = []
        self.figures: list[Figure] = []
        self.targets: list[Target] = []
        self.tables: list[Table] = []

    def describe(self, text: str) -> None:
        """Says in words what was done."""
        self.how.append(text)

    def record(self, name: str, values: Sequence[float] | float, unit: str) -> float:
        """Keeps a number, of one round or several; gives its median."""
        rounds = [values] if isinstance(values, int | float) else list(values)
        median = statistics.median(rounds)
        self.figures.append(Figure(name, median, unit, min(rounds), max(rounds), len(rounds)))
        return median

    def target_at_least(self, claim: str, value: float, least: float, unit: str = "") -> None:
        """Holds a number to a target from below."""
        self.targets.append(Target(claim, with_unit(value, unit), value >= least))

    def target_at_most(self, claim: str, value: float, most: float, unit: str = "") -> None:
        """Holds a number to a target from above."""
        self.targets.append(Target(claim, with_unit(value, unit), value <= most))

    def target(self, claim: str, measured: str, met: bool) -> None:
        """Says whether a claim holds that is no single number."""
        self.targets.append(Target(claim, measured, met))

    def add_table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Keeps figures that are read side by side."""
        self.tables.append(Table(title, list(columns), [list(row) for row in rows]))


def format_number(value: float) -> str:
    """A number with the digits that mean something."""
    size = abs(value)
    if size >= 1_000 or (value == int(value) and size >= 1):
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def with_unit(value: float, unit: str) -> str:
    """A number with its unit."""
    return f"{format_number(value)} {unit}".strip()


def save(result: Result, folder: Path) -> None:
    """Keeps a result as the last run of its benchmark."""
    folder.mkdir(parents=True, exist_ok=True)
    content = msgspec.json.format(msgspec.json.encode(result), indent=2)
    (folder / f"{result.name}.json").write_bytes(content + b"\n")


def load_results(folder: Path) -> dict[str, Result]:
    """The last run of each benchmark, by name."""
    found = [msgspec.json.decode(path.read_bytes(), type=Result) for path in sorted(folder.glob("*.json"))]
    return {result.name: result for result in found}
