"""From which size a cluster computes sooner than one machine, by the costs of both."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Seconds that no cores shorten, and seconds of one core for each row, which all cores share."""

    fixed_seconds: float
    core_seconds_per_row: float

    @property
    def rows_per_core_second(self) -> float:
        """Rows that one core computes in a second."""
        return 1 / self.core_seconds_per_row

    def seconds(self, rows: float, cores: int) -> float:
        """How long a computation takes on cores."""
        return self.fixed_seconds + self.core_seconds_per_row * rows / cores


def fit(few: tuple[int, float], many: tuple[int, float]) -> Cost:
    """The cost that two computations of (rows, core seconds) are on a line of. Raises ValueError without a slope."""
    slope = (many[1] - few[1]) / (many[0] - few[0])
    if slope <= 0:
        raise ValueError(f"{many[0]:,} rows took {many[1]:.2f} s, and {few[0]:,} took {few[1]:.2f} s.")
    return Cost(max(0.0, few[1] - slope * few[0]), slope)


def break_even_rows(cluster: Cost, machine: Cost, executors: int, cores: int) -> float | None:
    """The rows from which executors take less time than a machine, each with as many cores as the machine has.

    None if they never do.
    """
    saved_per_row = (machine.core_seconds_per_row - cluster.core_seconds_per_row / executors) / cores
    if saved_per_row <= 0:
        return None
    return max(0.0, (cluster.fixed_seconds - machine.fixed_seconds) / saved_per_row)


def least_executors(cluster: Cost, machine: Cost) -> int:
    """The fewest executors that take less time than a machine from some size on."""
    return math.floor(cluster.core_seconds_per_row / machine.core_seconds_per_row) + 1
