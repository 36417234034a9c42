"""Rows of the sample reports: stored as properties of profiles in PostgreSQL, and as a table in DuckDB."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb

from clubs import START, Club
from regulars.auth.tenants import Tenant
from regulars.query.backends import Backends
from regulars.storage.database import Database

Row = dict[str, Any]

TEXTS = (
    *("", "a", "A", "ab", "b", "abc", " a", "a ", "%", "_", "a%", "\\", "'", '"', "'; DROP TABLE profiles; --"),
    *("é", "e\u0301", "Ω", "\uffff", "\U0001f600", "\U00010000", "ß", "SS", "i", "İ", "null", "true", "1", "$1", "$v1"),
)
NUMBERS = (None, 0, 1, -1, 2, 3, 7, 2**53 + 1, 2**63 - 1, -(2**63))
DECIMALS = (
    None,
    Decimal(0),
    Decimal("0.1"),
    Decimal("-0.1"),
    Decimal("2.5"),
    Decimal("2.50"),
    Decimal(7),
    Decimal("1e3"),
)
UNITS = (None, 0, 1, 5, 100, 101, -100, 12_345)
DAYS = (None, date(2024, 2, 29), date(2026, 11, 1), date(1999, 12, 31))
TIMES = (
    None,
    START,
    START + timedelta(microseconds=1),
    START - timedelta(days=400),
    datetime(1999, 12, 31, tzinfo=UTC),
)
NAMES = ("sms", "email", "a.b", "a/b", "~", "$", "é")
ANYTHING = (None, True, False, 0, 1, 2.5, -1, "a", "1", "true", "null", "", "é")


def random_rows(chance: random.Random, count: int) -> list[Row]:
    """Rows with nulls, empty and full lists, objects, and texts of all kinds."""
    return [_row(chance, number) for number in range(1, count + 1)]


def _row(chance: random.Random, number: int) -> Row:
    names = [name for name in NAMES if chance.random() < 0.5]
    answers = {name: chance.random() < 0.5 for name in names}
    return {
        "id": number,
        "name": chance.choice((None, *TEXTS)),
        "size": chance.choice((None, "small", "large")),
        "points": chance.choice(NUMBERS),
        "score": chance.choice(DECIMALS),
        "spent": chance.choice(UNITS),
        "share": chance.choice(UNITS),
        "is_good": chance.choice((None, True, False)),
        "day": chance.choice(DAYS),
        "at": chance.choice(TIMES),
        "marks": chance.choice(([], [1], [1, 2], [2, 3], [3], None)),
        "tags": chance.choice(([], ["a"], ["a", "é"], ["'", "%"], None)),
        "consents_true": [name for name, answer in answers.items() if answer],
        "consents_false": [name for name, answer in answers.items() if not answer],
        "properties": {name: chance.choice(ANYTHING) for name in NAMES if chance.random() < 0.6},
    }


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat()


_INSERT = """
INSERT INTO profiles (community_id, profile_id, properties, created_at, updated_at)
SELECT $1, id, properties, $4, $4
FROM unnest($2::uuid[], $3::text[]::jsonb[]) AS new_rows (id, properties)
"""


def _uuid(number: int) -> UUID:
    return UUID(int=number)


async def insert(club: Club, rows: Sequence[Row]) -> None:
    """Stores rows in PostgreSQL."""
    async with club.database.write_transaction(club.community.id) as scope:
        ids = [_uuid(row["id"]) for row in rows]
        texts = [json.dumps(row, default=_json) for row in rows]
        await scope.execute(_INSERT, club.community.id, ids, texts, START)


async def delete(club: Club, numbers: Sequence[int]) -> None:
    """Deletes rows from PostgreSQL."""
    async with club.database.write_transaction(club.community.id) as scope:
        await scope.execute(
            "DELETE FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2::uuid[])",
            club.community.id,
            [_uuid(number) for number in numbers],
        )


_COLUMNS = """
    community_id INT, id BIGINT, name TEXT, size TEXT, points BIGINT, score DECIMAL(18, 4), spent BIGINT, share BIGINT,
    is_good BOOLEAN, day DATE, "at" TIMESTAMPTZ, marks BIGINT[], tags TEXT[],
    consents_true TEXT[], consents_false TEXT[],
    properties JSON
"""


class DuckDBSamples:
    """A table of the same rows in DuckDB."""

    def __init__(self) -> None:
        self._engine = duckdb.connect()
        self._engine.execute(f"CREATE TABLE samples ({_COLUMNS})")

    def insert(self, community_id: int, rows: Sequence[Row]) -> None:
        """Stores rows of a community."""
        for row in rows:
            values = [community_id, *row.values()]
            values[-1] = json.dumps(row["properties"])
            self._engine.execute(f"INSERT INTO samples VALUES ({', '.join('?' * len(values))})", values)

    async def fetch(
        self,
        connection: Any,
        tenant: Tenant,
        now: datetime,
        statement: str,
        values: Sequence[Any],
        max_wait_seconds: float | None = None,
    ) -> list[tuple[Any, ...]]:
        """The rows of a statement."""
        return self._engine.execute(statement, list(values)).fetchall()


@dataclass
class SampleStore:
    """A club's rows in both engines."""

    club: Club
    tenant: Tenant
    backends: Backends
    columns: DuckDBSamples

    async def insert(self, rows: Sequence[Row]) -> None:
        """Stores rows in both engines."""
        await insert(self.club, rows)
        self.columns.insert(self.club.community.id, rows)


def tenant_of(club: Club, timezone: str = "UTC") -> Tenant:
    """A club as a tenant."""
    of = club.community
    return Tenant(
        of.id, of.id + 5_000, of.id, of.organization_id, of.slug, of.name, timezone, of.currency, of.minor_digits, {}
    )


def create_samples(club: Club, database: Database) -> SampleStore:
    """An empty store."""
    columns = DuckDBSamples()
    return SampleStore(club, tenant_of(club), Backends(database, columns), columns)
