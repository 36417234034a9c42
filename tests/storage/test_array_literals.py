"""Array literals: values of every type survive a round trip through the database."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from regulars.storage.array_literals import array_literal
from regulars.storage.database import Database


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("text", ["a", "", None, "NULL", "null", " spaced ", "{1,2}", "å\u2028€😀\x7f"]),
        ("text", ['"', "\\", '\\"', "a,b", None, "tab\tline\nbell\x07", "\\n", "\\u001f\x1f"]),
        ("bigint", [1, None, -(2**63), 2**63 - 1]),
        ("bool", [True, None, False]),
        ("numeric", [Decimal("1.20"), None, Decimal("-0.000001"), Decimal("999999999999.999999"), Decimal("1E+3")]),
        ("date", [date(1900, 1, 1), None, date(2999, 12, 31)]),
        ("timestamptz", [datetime(1900, 1, 1, tzinfo=UTC), None, datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)]),
        ("uuid", [UUID(int=1), None, UUID(int=2**128 - 1)]),
        ("jsonb", ['{"a": "\\"\\\\b\\n"}', None, "[1.50]"]),
    ],
)
async def test_values_survive_a_round_trip(database: Database, kind: str, values: Sequence[object]) -> None:
    async with database.unscoped_connection() as connection:
        found = await connection.fetchval(f"SELECT $1::text::{kind}[]", array_literal(values))
    # JSON comes out as it is written.
    assert [bytes(each).decode() if isinstance(each, msgspec.Raw) else each for each in found] == values


async def test_a_column_of_nulls_is_as_long_as_the_others(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        found = await connection.fetch(
            "SELECT * FROM unnest($1::text::text[], $2::text::int[]) AS row (a, b)",
            array_literal([None, None]),
            array_literal([1, 2]),
        )
    assert [tuple(row) for row in found] == [(None, 1), (None, 2)]
