"""The statistics of tables that are analyzed again and again while members join come from small samples."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import psycopg
import pytest

from regulars.bootstrap import schema_statements
from regulars.storage.migrate import migrate, role_of

_TARGETS = """
SELECT attname, attstattarget
FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attname
"""


@pytest.fixture
def owner(empty_urls: tuple[str, str]) -> Iterator[psycopg.Connection]:
    """The owner of a database with the current schema."""
    migrate(empty_urls[0], role_of(empty_urls[1]), schema_statements())
    with psycopg.connect(empty_urls[0], autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize("table", ["profiles", "members", "membership_events", "memberships", "balance_rollups_1mo"])
def test_each_column_has_a_small_sample_or_none(owner: psycopg.Connection, table: str) -> None:
    targets: dict[str, int] = dict(owner.execute(_TARGETS, [table]).fetchall())
    assert set(targets.values()) <= {0, 20}
    assert targets["community_id"] == 20


def test_a_new_partition_has_the_targets_of_its_parent(owner: psycopg.Connection) -> None:
    expected = owner.execute(_TARGETS, ["balance_rollups_1d"]).fetchall()
    day = datetime(2031, 1, 1, tzinfo=UTC)
    owner.execute(
        "SELECT create_partition('balance_rollups_1d', 'balance_rollups_1d_x', %s, %s)",
        [str(day), str(day.replace(year=2032))],
    )
    assert owner.execute(_TARGETS, ["balance_rollups_1d_x"]).fetchall() == expected
