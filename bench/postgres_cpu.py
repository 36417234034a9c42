"""CPU of PostgreSQL by kind of process, so that autovacuum is not counted as the cost of a statement."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path

from bench import processes
from bench.result import Findings

SAMPLE_SECONDS = 0.25
"""Autovacuum workers end at any time, and then only the sum of all ended processes is known: so they are sampled."""


@dataclass
class PostgresCpu:
    """CPU seconds by kind of process, or microseconds a unit.

    `connections` are the processes of client connections with their parallel workers. `autovacuum` are its launcher and
    workers, and processes that began and ended between two samples. `background` are all others: walwriter,
    checkpointer, background writer, workers of input and output.
    """

    connections: float = 0.0
    autovacuum: float = 0.0
    background: float = 0.0

    @property
    def total(self) -> float:
        """CPU of all processes."""
        return self.connections + self.autovacuum + self.background

    def per(self, units: float) -> "PostgresCpu":
        """Microseconds a unit."""
        return PostgresCpu(*(1e6 * getattr(self, each.name) / units for each in fields(self)))


def record(findings: Findings, name: str, rounds: Sequence[PostgresCpu], unit: str) -> float:
    """Records the CPU of all processes under a name, and of each kind; returns the median of all processes."""
    total = findings.record(name, [each.total for each in rounds], unit)
    for kind in fields(PostgresCpu):
        findings.record(f"{name}: {kind.name}", [getattr(each, kind.name) for each in rounds], unit)
    return total


@contextmanager
def measure(postmaster: int) -> Iterator[PostgresCpu]:
    """Measures the block: the value is complete when the block has ended."""
    used, watch, ended = PostgresCpu(), _Watch(postmaster), threading.Event()

    def sample() -> None:
        while not ended.wait(SAMPLE_SECONDS):
            watch.sample()

    sampler = threading.Thread(target=sample, daemon=True)
    sampler.start()
    try:
        yield used
    finally:
        ended.set()
        sampler.join()
        watch.sample()
        for kind, seconds in watch.seconds().items():
            setattr(used, kind, seconds)


@dataclass
class _Watch:
    """What was seen of the processes of a server: by process, its kind and its CPU at first and at last."""

    postmaster: int
    first: dict[int, float] = field(default_factory=dict)
    last: dict[int, float] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    alive: set[int] = field(default_factory=set)
    ended_first: float = 0.0
    ended_last: float = 0.0

    def __post_init__(self) -> None:
        self.sample()
        self.first = dict(self.last)
        self.ended_first = self.ended_last

    def sample(self) -> None:
        """Reads the CPU of all processes."""
        # Before the processes: one that ends meanwhile is then counted once, by what was seen of it.
        self.ended_last = processes.ended_cpu_seconds(self.postmaster)
        self.alive = set()
        for each in processes.child_processes(self.postmaster):
            seconds = processes.own_cpu_seconds(each)
            if seconds is not None:
                self.alive.add(each)
                self.last[each] = seconds
                if self.kinds.get(each) != "autovacuum":
                    # A process that has just begun has no title of its own.
                    self.kinds[each] = _kind(each)

    def seconds(self) -> dict[str, float]:
        """CPU seconds by kind since the first sample."""
        by_kind = {each.name: 0.0 for each in fields(PostgresCpu)}
        unseen = self.ended_last - self.ended_first
        for process, last in self.last.items():
            by_kind[self.kinds[process]] += last - self.first.get(process, 0.0)
            if process not in self.alive:
                unseen -= last
        by_kind["autovacuum"] += max(0.0, unseen)
        return by_kind


def _kind(process: int) -> str:
    """The kind of a process by its title, such as `postgres: autovacuum worker regulars`."""
    try:
        command = Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return "background"
    title = command.partition("postgres: ")[2]
    if title.startswith("autovacuum"):
        return "autovacuum"
    # The title of a connection is user, database, client and command; that of the postmaster is its command line.
    names = (
        "io worker",
        "checkpointer",
        "background writer",
        "walwriter",
        "logical replication",
        "startup",
        "archiver",
    )
    return "connections" if title and not title.startswith(names) else "background"
