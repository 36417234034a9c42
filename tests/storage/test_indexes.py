"""Look-ups by key go by the key, though the planner knows nothing of a community."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from regulars.bootstrap import schema_statements
from regulars.model import identities
from regulars.observability.data_health import NEWEST_FACTS
from regulars.storage.database import SESSION_SETTINGS
from regulars.storage.migrate import migrate, role_of

_KEYS = """
SELECT
    t.relname, i.relname,
    ARRAY(
        SELECT attname || ' ' || format_type(atttypid, atttypmod)
        FROM unnest(x.indkey) WITH ORDINALITY AS part (number, place)
        JOIN pg_attribute ON attrelid = t.oid AND attnum = part.number
        ORDER BY part.place
    )
FROM pg_index AS x
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE x.indisprimary AND t.relkind = 'r' AND NOT t.relispartition AND t.relnamespace = 'public'::regnamespace
ORDER BY t.relname
"""


@pytest.fixture
def app(empty_urls: tuple[str, str]) -> Iterator[psycopg.Connection]:
    """The app's role in a database that has no statistics, and nothing to read yet."""
    migrate(empty_urls[0], role_of(empty_urls[1]), schema_statements())
    with psycopg.connect(empty_urls[1], autocommit=True) as connection:
        connection.execute(f"SET plan_cache_mode = {SESSION_SETTINGS['plan_cache_mode']}".encode())
        connection.execute("SET enable_seqscan = off")
        yield connection


def test_the_planner_prefers_the_key(app: psycopg.Connection) -> None:
    looked_up = {}
    for table, key, columns in app.execute(_KEYS).fetchall():
        if columns[0] == "community_id integer":
            looked_up[table] = (key, _index(app, table, dict(each.split(" ", 1) for each in columns)))
    assert looked_up.keys() >= {
        "profiles",
        "members",
        "profile_aggregations",
        "transactions",
        "sending_events",
        "link_visits",
    }
    assert {table: found for table, (key, found) in looked_up.items() if found != key} == {}


def test_purchases_of_a_profile_are_found_by_its_index(app: psycopg.Connection) -> None:
    columns = {"community_id": "integer", "profile_id": "uuid"}
    assert _index(app, "transactions", columns, "NOT is_void AND transacted_at > now()") == "transactions_history"


def test_the_newest_member_is_the_last_of_an_index(app: psycopg.Connection) -> None:
    # Without it all members are sorted, however few blocks the one needs.
    app.execute("SET enable_sort = off")
    app.execute(f"PREPARE newest_facts (int, timestamptz) AS {NEWEST_FACTS}".encode())
    plan = app.execute(b"EXPLAIN (COSTS OFF) EXECUTE newest_facts (NULL, NULL)").fetchall()
    assert any("Scan Backward using profiles_by_member_id" in line for (line,) in plan), plan


def test_identities_of_rows_are_looked_up_by_their_keys(app: psycopg.Connection) -> None:
    statement = identities._SELECT.format(condition=identities._IS_OF_ROWS)
    app.execute(f"PREPARE identities_of_rows (int, text[], text[], bigint[]) AS {statement}".encode())
    plan = app.execute(b"EXPLAIN (COSTS OFF) EXECUTE identities_of_rows (NULL, NULL, NULL, NULL)").fetchall()
    conditions = [line.split("Index Cond: ")[1] for (line,) in plan if "Index Cond" in line]
    assert len(conditions) == 2
    assert all("identifier = " in each or "id = ANY" in each for each in conditions), plan


def test_values_have_no_statistics_and_the_columns_of_plans_have(app: psycopg.Connection) -> None:
    analyzed = app.execute(
        "SELECT attname FROM pg_attribute "
        "WHERE attrelid = 'profile_aggregations'::regclass AND attnum > 0 AND attstattarget IS DISTINCT FROM 0"
    )
    assert {name for (name,) in analyzed} == {
        "community_id",
        "profile_id",
        "calculated_at",
        "next_change_at",
        "values_version",
    }


def _index(app: psycopg.Connection, table: str, columns: dict[str, str], more: str = "TRUE") -> str:
    """The index by which a plan that holds for all communities finds a row."""
    where = " AND ".join(f"{name} = ${place}" for place, name in enumerate(columns, 1))
    app.execute(
        f"PREPARE by_{table} ({', '.join(columns.values())}) AS SELECT * FROM {table} WHERE {where} AND {more}".encode()
    )
    nothing = ", ".join("NULL" for _ in columns)
    plan = [line for (line,) in app.execute(f"EXPLAIN (COSTS OFF) EXECUTE by_{table} ({nothing})".encode())]
    (index,) = [line.split(" using ")[1].split(" on ")[0] for line in plan if " using " in line]
    return str(index)
