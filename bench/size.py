"""How large a run is, against the size that the targets speak of."""

from dataclasses import dataclass

FULL = 1.0


@dataclass(frozen=True)
class Size:
    """`scale` 1 is the full size; runs of a fifth and less are shortened as well."""

    scale: float = FULL

    def rows(self, full: int, least: int) -> int:
        """How many rows, profiles or writes."""
        return max(least, int(full * self.scale))

    def seconds(self, full: float) -> float:
        """How long a round lasts."""
        return max(0.3, full * min(FULL, self.scale * 5))

    def rounds(self, full: int) -> int:
        """How many rounds: enough for a median, unless it is only tried whether all works."""
        return full if self.scale >= 0.01 else 1
