"""Which transactions a snapshot of the database sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PgSnapshot:
    """What pg_current_snapshot() says: all transactions before `end` are seen, except those that were `running`.

    Snapshots of one database stand in a line, for transactions become visible one after the other: of two, one sees
    all that the other sees.
    """

    xmax: int
    in_progress: frozenset[int] = frozenset()

    @classmethod
    def parse(cls, written: str) -> "PgSnapshot":
        """The snapshot as PostgreSQL writes it: `10:14:10,13`."""
        _, end, running = written.split(":")
        return cls(int(end), frozenset(map(int, running.split(","))) if running else frozenset())

    def is_ahead_of(self, other: "PgSnapshot") -> bool:
        """Whether it sees a transaction that the other does not."""
        later = max(0, self.xmax - other.xmax) - sum(other.xmax <= each < self.xmax for each in self.in_progress)
        return later > 0 or any(each < self.xmax and each not in self.in_progress for each in other.in_progress)

    @property
    def unseen_condition(self) -> str:
        """The condition on `transaction_id` that holds for the transactions that it does not see: a range of an index
        that begins with the oldest of them.
        """
        late = "".join(f" OR transaction_id = '{each}'::xid8" for each in sorted(self.in_progress))
        oldest = min(self.in_progress, default=self.xmax)
        return f"transaction_id >= '{oldest}'::xid8 AND (transaction_id >= '{self.xmax}'::xid8{late})"
