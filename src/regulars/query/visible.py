"""Which transactions a snapshot of the database sees."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Visible:
    """What pg_current_snapshot() says: all transactions before `end` are seen, except those that were `running`.

    Snapshots of one database stand in a line, for transactions become visible one after the other: of two, one sees
    all that the other sees.
    """

    end: int
    running: frozenset[int] = frozenset()

    @classmethod
    def of(cls, written: str) -> "Visible":
        """The snapshot as PostgreSQL writes it: `10:14:10,13`."""
        _, end, running = written.split(":")
        return cls(int(end), frozenset(map(int, running.split(","))) if running else frozenset())

    def sees_more_than(self, other: "Visible") -> bool:
        """Whether it sees a transaction that the other does not."""
        later = max(0, self.end - other.end) - sum(other.end <= each < self.end for each in self.running)
        return later > 0 or any(each < self.end and each not in self.running for each in other.running)

    @property
    def unseen(self) -> str:
        """The condition on `transaction_id` that holds for the transactions that it does not see: a range of an index
        that begins with the oldest of them.
        """
        late = "".join(f" OR transaction_id = '{each}'::xid8" for each in sorted(self.running))
        oldest = min(self.running, default=self.end)
        return f"transaction_id >= '{oldest}'::xid8 AND (transaction_id >= '{self.end}'::xid8{late})"
