"""Snapshots of PostgreSQL: which transactions one sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PgSnapshot:
    """A result of pg_current_snapshot(): it sees all transactions before `xmax` except those `in_progress`.

    Snapshots of one database are totally ordered, because transactions become visible one after another.
    """

    xmax: int
    in_progress: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, text: str) -> "PgSnapshot":
        """Parses the text of a snapshot, such as `10:14:10,13`."""
        _, xmax, in_progress = text.split(":")
        return cls(int(xmax), frozenset(map(int, in_progress.split(","))) if in_progress else frozenset())

    def is_ahead_of(self, other: "PgSnapshot") -> bool:
        """Whether this snapshot sees a transaction that the other does not."""
        unfinishedr = max(0, self.xmax - other.xmax) - sum(other.xmax <= each < self.xmax for each in self.in_progress)
        return unfinishedr > 0 or any(each < self.xmax and each not in self.in_progress for each in other.in_progress)

    @property
    def unseen_condition(self) -> str:
        """The SQL condition that `recorded_xid` is not seen by this snapshot, as a range of an index."""
        unfinished = "".join(f" OR recorded_xid = '{each}'::xid8" for each in sorted(self.in_progress))
        oldest = min(self.in_progress, default=self.xmax)
        return f"recorded_xid >= '{oldest}'::xid8 AND (recorded_xid >= '{self.xmax}'::xid8{unfinished})"
