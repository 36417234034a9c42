"""Each column of each derived table is verified: what is changed, or deleted, is reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from clubs import ManualClock
from regulars.bootstrap import schema_statements
from regulars.facts.link_visits import LINK_VISITS
from regulars.facts.members import MEMBERS
from regulars.facts.offer_events import OFFER_EVENTS
from regulars.facts.purchases import PURCHASES
from regulars.facts.sending_events import SENDING_EVENTS
from regulars.storage import personal_data
from regulars.storage.database import SESSION_SETTINGS, Database, Scope, _prepare_connection
from regulars.storage.migrate import migrate, role_of
from storage.release_store import AS_OF, prepare, restore_script

NOT_COVERED = {
    "links": "What visits are counted by; it is not derived.",
    "offer_collections": "They are not derived.",
    "outbox": "What is still to be sent.",
    "profile_aggregations": "Each value is changed in test_verify.py.",
    "segment_memberships": "DuckDB evaluates the filters: segments/test_membership.py.",
}

_FACT_TYPES = {
    "member_bitmaps": PURCHASES,
    **dict.fromkeys(("balance", "group", "member", "snapshot"), MEMBERS),
    "purchase": PURCHASES,
    **dict.fromkeys(("recipient", "sending"), SENDING_EVENTS),
    "link": LINK_VISITS,
    "offer": OFFER_EVENTS,
}
"""The fact types by how the names of their tables begin."""

_KEY = "Distinguishes a repeated row from a new one."
_BUCKET = "Finds the row when it is added to; what is read are its other columns."
_PARTITION = "There is no partition for another value."
_RECEIVED = "As it was received."
_EARLIER = "What was stored then is the only record of it."
_TIME = "When a count changed last; its changes are not retained."

NOT_VERIFIED = {
    "balance_rollups": {"granularity": _PARTITION, "dimensions_hash": _BUCKET},
    "group_count_deltas": {"changed_at": _TIME},
    "group_counts": {"updated_at": _TIME},
    "group_rollups": {"granularity": _PARTITION},
    "link_rollups": {"granularity": _PARTITION, "segment_no": _BUCKET},
    "link_visitors": {"is_profile": _RECEIVED},
    "link_visits": {"visit_key_hash": _KEY},
    "member_dimension_history": dict.fromkeys(
        ("optin_channel", "optin_subchannel", "optin_platform", "birth_date", "consents_true", "consents_false"), _EARLIER
    ),
    "offer_events": {"event_key_hash": _KEY, "transaction_external_id": _RECEIVED},
    "offer_rollups": {"granularity": _PARTITION},
    "offers": dict.fromkeys(
        ("id", "external_id", "is_placeholder", "name", "type", "status", "campaign_id", "usable_since", "usable_until",
         "stock", "created_at", "updated_at"), _RECEIVED
    ) | {"last_event_at": "May be later than the last event, after an erasure."},
    "purchase_versions": dict.fromkeys(("id", "recorded_xid"), "Its purchase has not been compacted."),
    "recipient_rollups": {"granularity": _PARTITION, "dimensions_hash": _BUCKET},
    "sending_dispatches": {"dispatch_key_hash": _KEY},
    "sending_events": {"event_key_hash": _KEY},
    "sending_rollups": {"granularity": _PARTITION},
    "sendings": dict.fromkeys(
        ("external_id", "is_placeholder", "reporting_id", "language", "channel", "service_type", "source_id", "source_app",
         "source_type", "audience_id", "campaign_id", "created_at"), _RECEIVED
    ),
    "snapshot_rollups": {"granularity": _PARTITION},
}  # fmt: skip
"""Columns whose change is not found, each with the reason."""


_COLUMNS = """
SELECT table_name, column_name, format_type(a.atttypid, NULL) AS type
FROM information_schema.columns
JOIN pg_attribute AS a ON a.attrelid = table_name::regclass AND a.attname = column_name
WHERE table_schema = 'public' AND table_name = ANY ($1) AND column_name <> 'community_id'
ORDER BY table_name, ordinal_position
"""

_CHANGES = {
    "bigint": "coalesce({0}, 0) + 1",
    "integer": "coalesce({0}, 0) + 1",
    "smallint": "coalesce({0}, 0) + 1",
    "numeric": "coalesce({0}, 0) + 1",
    "text": "concat({0}, 'x')",
    "boolean": "NOT {0}",
    "date": "CASE WHEN {0} = '-infinity' THEN '2026-01-01' ELSE {0} + 1 END",
    "timestamp with time zone": "CASE WHEN isfinite({0}) THEN {0} + interval '1 day' ELSE '2026-01-01' END",
    "uuid": "gen_random_uuid()",
    "jsonb": "'{{\"x\": 1}}'",
    "bytea": "{0} || '\\x00000001'",
    "bit": "~{0}",
    "xid8": "'1'",
    "bigint[]": "{0} || 1::bigint",
    "integer[]": "{0} || 1",
    "numeric[]": "{0} || 1::numeric",
    "text[]": "{0} || 'x'::text",
}


@asynccontextmanager
async def owner_scope(url: str, clock: ManualClock) -> AsyncIterator[Scope]:
    """A transaction of the owner within the only community, which is rolled back."""
    connection = await asyncpg.connect(url, server_settings=SESSION_SETTINGS)
    try:
        await _prepare_connection(connection)
        transaction = connection.transaction()
        await transaction.start()
        community_id = await connection.fetchval("SELECT id FROM communities")
        await connection.execute(f"SET LOCAL regulars.community_id = '{community_id}'")
        await connection.execute(f"SET LOCAL regulars.now = '{clock()}'")
        yield Scope(connection, community_id, clock())
    finally:
        await connection.close()


def _where_last(table: str, column: str) -> str:
    """The condition on a row of a table with the largest value of a column."""
    return f"WHERE (tableoid, ctid) IN (SELECT tableoid, ctid FROM {table} ORDER BY {column} DESC NULLS LAST LIMIT 1)"


async def _is_found(scope: Scope, table: str, *statements: str) -> bool:
    """Whether verification finds what one of the statements changes. Each of them is undone."""
    verify = next(fact_type.verify for name, fact_type in _FACT_TYPES.items() if table.startswith(name))
    assert verify is not None
    for statement in statements:
        transaction = scope.connection.transaction()
        await transaction.start()
        try:
            await scope.execute(statement)
            if await verify(scope, None):
                return True
        except (asyncpg.UniqueViolationError, asyncpg.CheckViolationError):
            pass
        finally:
            await transaction.rollback()
    return False


@pytest.mark.slow
async def test_each_change_of_a_derived_table_is_found(empty_urls: tuple[str, str], clock: ManualClock) -> None:
    clock.at = AS_OF
    await asyncio.to_thread(restore_script, empty_urls[0])
    await asyncio.to_thread(migrate, empty_urls[0], role_of(empty_urls[1]), schema_statements())
    async with Database(empty_urls[1], 1, clock) as database:
        await prepare(database)
    names = sorted({each.name for each in (*personal_data.DERIVED, *personal_data.COUNTS)} - NOT_COVERED.keys())
    async with owner_scope(empty_urls[0], clock) as scope:
        # The last offer has no events.
        unnoticed = [
            (name, "*")
            for name in names
            if name != "offers" and not await _is_found(scope, name, f"DELETE FROM {name} {_where_last(name, name)}")
        ]
        for table, column, type_name in await scope.fetch(_COLUMNS, names):
            if column in NOT_VERIFIED.get(table, {}):
                continue
            update = f"UPDATE {table} SET {column} = {_CHANGES[type_name].format(column)}"
            if not await _is_found(scope, table, f"{update} {_where_last(table, column)}", update):
                unnoticed.append((table, column))
    assert unnoticed == []
