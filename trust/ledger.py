"""Records acknowledged writes and compares them with the database."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import psycopg


@dataclass(frozen=True)
class Sale:
    """A transaction as last acknowledged. Each has a unique receipt number."""

    profile_id: str | None
    total: Decimal
    is_void: bool = False
    id: int | None = None

    @property
    def stored(self) -> "Stored":
        """The expected content of its row."""
        return self.total, self.profile_id, self.is_void


Stored = tuple[Decimal, str | None, bool]
"""Total, profile, and whether it is void."""


@dataclass(frozen=True)
class Request:
    """A request with an Idempotency-Key and its response."""

    path: str
    body: bytes
    content_type: str
    key: str
    status: int
    response: bytes


@dataclass
class Ledger:
    """The acknowledged writes, the writes without a response, and the unexpected responses of a writer."""

    sales: dict[str, Sale] = field(default_factory=dict)
    """Transactions that must be stored once, by receipt number."""
    deleted: set[str] = field(default_factory=set)
    """Receipt numbers that must not be stored."""
    unanswered: set[str] = field(default_factory=set)
    """Receipt numbers of abandoned writes, which may be stored at most once."""
    events: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Number of events by sending and type."""
    profiles: dict[str, str] = field(default_factory=dict)
    """State of each profile by id: active, merged, deleted or purged."""
    requests: list[Request] = field(default_factory=list)
    acknowledged: Counter[str] = field(default_factory=Counter)
    """Number of acknowledged writes by kind."""
    answers: Counter[str] = field(default_factory=Counter)
    """Number of responses by status; `no response` if the connection was lost."""
    violations: list[str] = field(default_factory=list)

    def add(self, other: "Ledger") -> None:
        """Adds the ledger of another writer."""
        self.sales |= other.sales
        self.deleted |= other.deleted
        self.unanswered |= other.unanswered
        self.events += other.events
        self.profiles |= other.profiles
        self.requests += other.requests
        self.acknowledged += other.acknowledged
        self.answers += other.answers
        self.violations += other.violations

    def spend_by_profile(self) -> dict[str, Decimal]:
        """Returns the sum of totals by profile."""
        sums = {each: Decimal(0) for each, state in self.profiles.items() if state == "active"}
        for sale in self.sales.values():
            if sale.profile_id in sums and not sale.is_void:
                sums[sale.profile_id] += sale.total
        return sums


def merge(ledgers: Iterable[Ledger]) -> Ledger:
    """Returns the combined ledger of several writers."""
    found = Ledger()
    for each in ledgers:
        found.add(each)
    return found


def differences(ledger: Ledger, connection: "psycopg.Connection[Any]", community_id: int) -> list[str]:
    """Returns the differences between a database and the acknowledged writes."""
    rows = connection.execute(
        "SELECT receipt_ref, total, profile_id::text, is_void FROM transactions WHERE community_id = %s", [community_id]
    ).fetchall()
    stored: dict[str, list[Stored]] = {}
    for receipt, *row in rows:
        stored.setdefault(receipt, []).append((row[0], row[1], row[2]))
    return [
        *_of_sales(ledger, stored),
        *_of_events(ledger, connection, community_id),
        *_of_profiles(ledger, connection, community_id),
    ]


def _of_sales(ledger: Ledger, stored: dict[str, list[Stored]]) -> list[str]:
    found = []
    for receipt, sale in ledger.sales.items():
        there = stored.get(receipt, [])
        if receipt in ledger.unanswered:
            # A change of it was never answered; it may be stored with it or without.
            there = [sale.stored] if len(there) == 1 else there
        if there != [sale.stored]:
            found.append(f"transaction {receipt} was acknowledged as {sale}, stored is {there or 'nothing'}")
    deleted = sorted(ledger.deleted & stored.keys())
    found += [f"transaction {receipt} was deleted, stored is {stored[receipt]}" for receipt in deleted]
    for receipt in sorted(stored.keys() - ledger.sales.keys() - ledger.deleted):
        if receipt not in ledger.unanswered:
            found.append(f"transaction {receipt} is stored and was never sent: {stored[receipt]}")
        elif len(stored[receipt]) > 1:
            found.append(f"transaction {receipt} was never answered and is stored {len(stored[receipt])} times")
    return found


def _of_events(ledger: Ledger, connection: "psycopg.Connection[Any]", community_id: int) -> list[str]:
    rows = connection.execute(
        "SELECT external_id, opened_count, clicked_count FROM sendings WHERE community_id = %s", [community_id]
    ).fetchall()
    stored = {(name, kind): count for name, *counts in rows for kind, count in zip(EVENTS, counts, strict=True)}
    return [
        f"sending {name}: {count} events `{kind}` were acknowledged, {stored.get((name, kind), 0)} are counted"
        for (name, kind), count in sorted(ledger.events.items())
        if stored.get((name, kind), 0) != count
    ]


EVENTS = ("opened", "clicked")


def _of_profiles(ledger: Ledger, connection: "psycopg.Connection[Any]", community_id: int) -> list[str]:
    rows = connection.execute(
        "SELECT profile_id::text, CASE WHEN merged_into IS NOT NULL THEN 'merged' "
        "WHEN deleted_at IS NOT NULL THEN 'deleted' ELSE 'active' END FROM profiles WHERE community_id = %s",
        [community_id],
    ).fetchall()
    stored = dict(rows)
    return [
        f"profile {each} was acknowledged as {state}, stored is {stored.get(each, 'purged')}"
        for each, state in sorted(ledger.profiles.items())
        if stored.get(each, "purged") != state
    ]
