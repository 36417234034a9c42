"""Members: their dimensions, counts and history, derived in the transaction of the facts.

A change of a profile or a membership updates the dimensions of the profile, and appends deltas to counts of members,
which compaction adds up.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from itertools import zip_longest
from operator import attrgetter
from typing import Any
from uuid import UUID

from regulars.facts.fact_type import Compaction, FactMetric, FactType
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.unit_of_work import UnitOfWork
from regulars.rollups import compaction, snapshots, timezones, verification
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope

PERSONAL_PROPERTIES = (
    "title", "name", "firstname", "middlename", "lastname", "fullname", "surname", "email", "mail", "emailaddress",
    "phone", "phonenumber", "mobile", "mobilephone", "telephone", "cellphone", "birthday", "birthdate", "dateofbirth",
    "dob", "address", "address1", "address2", "addressline1", "addressline2", "addressline3", "street",
    "streetaddress", "postcode", "postalcode", "zip", "zipcode",
)  # fmt: skip
"""Normalized names of properties that identify a person, and are therefore left out of all reports."""


def _name_characters() -> tuple[str, str]:
    """Latin, Greek and Cyrillic capitals with their small letters, and what is neither a letter nor a digit."""
    characters = [chr(code) for code in (*range(1, 0x530), *range(0x2000, 0x2070))]
    capitals = [each for each in characters if len(each.lower()) == 1 and each.lower() != each]
    others = [each for each in characters if not each.isalnum() and each not in capitals]
    return "".join(capitals + others), "".join(each.lower() for each in capitals)


NAME_CHARACTERS = _name_characters()
"""What normalized names lack, and what replaces the first of them; the others are removed."""

_NAME_TABLE = dict(zip_longest(map(ord, NAME_CHARACTERS[0]), NAME_CHARACTERS[1]))

_MEMBERS = sql_files.load("regulars.facts", "members_recompute")
_APPEND_DELTAS = sql_files.load("regulars.facts", "members_append_deltas")
_STORE = sql_files.load("regulars.facts", "members_store")
_VERIFY_COUNTS = verification.load("regulars.facts", "members_verify")
_VERIFY_DIMENSIONS = sql_files.load("regulars.facts", "member_dimensions_verify")

_RECOMPUTE = _MEMBERS + _APPEND_DELTAS + _STORE

# Stores every single delta in temporary tables, instead of appending their sums for compaction.
_STAGE_DELTAS = """
appended_group_deltas AS (
    INSERT INTO pg_temp.staged_groups (groups, at, delta)
    SELECT groups, valid_from, sign FROM member_spans WHERE valid_from < valid_to AND groups <> '{}'
    UNION ALL
    SELECT groups, valid_to, -sign FROM member_spans WHERE valid_from < valid_to AND valid_to < 'infinity' AND groups <> '{}'
    RETURNING 1
),
appended_flow_deltas AS (
    INSERT INTO pg_temp.staged_flows (
        delta, occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    )
    SELECT 1, occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    FROM events
    WHERE is_counted
    UNION ALL
    SELECT -1, occurred_at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    FROM stored_events
    WHERE is_counted
    RETURNING 1
),
"""
_RECOMPUTE_AND_STAGE = _MEMBERS + _STAGE_DELTAS + _STORE

_CREATE_STAGING_TABLES = """
CREATE TEMPORARY TABLE staged_groups (groups text[], at timestamptz, delta bigint) ON COMMIT DROP;
CREATE TEMPORARY TABLE staged_flows (
    delta bigint, occurred_at timestamptz, type text, optin_channel text, optin_subchannel text, optin_platform text, gender text,
    age text, consents_true text[], consents_false text[]
) ON COMMIT DROP
"""


def normalize_property_name(name: str) -> str:
    """Normalizes the name of a property for comparison: lower-case letters and digits.

    Statements do the same by `translate` with NAME_CHARACTERS, because `lower` depends on the database in SQL.
    """
    return name.translate(_NAME_TABLE)


def personal_properties(community: Community) -> list[str]:
    """The normalized names of the properties that are left out of a community's reports: these and its own."""
    more: Any = community.attributes.get(communities.PERSONAL) or ()
    names = more.split(",") if isinstance(more, str) else more
    return sorted({*PERSONAL_PROPERTIES, *(normalize_property_name(str(each)) for each in names)})


async def recompute(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> int:
    """Recomputes the member dimensions of profiles, and appends the deltas of counts and of joins and leaves.

    Returns the number of deltas. An earlier statement locked the profiles.
    """
    deltas: int = await scope.fetchval(_RECOMPUTE, *_arguments(scope, community, profile_ids))
    return deltas


async def stage_deltas(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> None:
    """Recomputes the member dimensions of profiles, and stores the deltas in temporary tables of the transaction.

    The caller adds them to counts and rollups before it commits. `staged_groups` has changes of the number of members
    in groups, `staged_flows` joins and leaves; what was counted before and no longer is has a negative number.
    """
    await scope.execute(_CREATE_STAGING_TABLES)
    await scope.execute(_RECOMPUTE_AND_STAGE, *_arguments(scope, community, profile_ids))


def _arguments(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> tuple[object, ...]:
    ordered = sorted(profile_ids, key=attrgetter("int"))
    personal = personal_properties(community)
    return scope.community_id, ordered, scope.now, community.timezone, personal, *NAME_CHARACTERS


async def _record(uow: UnitOfWork) -> None:
    if not uow.dirty_members:
        return
    if uow.update_member_rollups is not None:
        await uow.update_member_rollups(uow)
        return
    uow.delta_rows += await recompute(uow, uow.community, uow.dirty_members)
    if uow.is_backfill:
        joined = await snapshots.profiles_with_new_memberships(uow, uow.dirty_members)
        await snapshots.recount(uow, joined)


async def _apply_backpressure(database: Database, uow: UnitOfWork) -> None:
    await compaction.apply_backpressure(database, uow.community_id, uow.delta_rows)


TOMBSTONE_RETENTION = timedelta(days=2)
"""How long replicas have to remove a profile that was erased."""


async def _drop_tombstones(database: Database, community_id: int) -> int:
    async with database.write_transaction(community_id) as scope:
        status = await scope.execute(
            "DELETE FROM members WHERE community_id = $1 AND member_id IS NULL AND updated_at < $2",
            community_id,
            scope.now - TOMBSTONE_RETENTION,
        )
    return int(status.rpartition(" ")[2])


async def _verify(scope: Scope, as_of: datetime | None) -> Sequence[Any]:
    if as_of is not None:
        return ()
    community = await communities.get_by_id(scope.connection, scope.community_id)
    return [
        *await scope.fetch(
            _VERIFY_DIMENSIONS, community.id, scope.now, personal_properties(community), *NAME_CHARACTERS
        ),
        *await verification.find_discrepancies(scope, _VERIFY_COUNTS, await timezones.get_of_members(scope), scope.now),
        *await snapshots.find_discrepancies(scope),
    ]


# A group that had members earlier has a history, and therefore keeps its count of 0.
_EMPTY_COUNTS = (
    "DELETE FROM group_rollups WHERE community_id = $1 AND delta = 0",
    "DELETE FROM balance_rollups WHERE community_id = $1 AND count = 0",
    "DELETE FROM snapshot_rollups WHERE community_id = $1 AND delta = 0",
    """
    DELETE FROM group_counts AS counted
    WHERE community_id = $1 AND members_count = 0
        AND (grouping_type, grouping_value) NOT IN (
            SELECT grouping_type, grouping_value FROM group_rollups WHERE community_id = $1
            UNION ALL
            SELECT grouping_type, grouping_value FROM group_count_deltas WHERE community_id = $1
        )
    """,
    """
    DELETE FROM snapshot_counts AS counted
    WHERE community_id = $1 AND members_count = 0
        AND dimensions_hash NOT IN (
            SELECT dimensions_hash FROM snapshot_rollups WHERE community_id = $1
            UNION ALL
            SELECT dimensions_hash FROM snapshot_members WHERE community_id = $1
        )
    """,
)

MEMBERS = FactType(
    name="members",
    description="Member dimensions, counts of members by group, joins and leaves, and snapshots; derived from profiles.",
    record=_record,
    erase=snapshots.recount,
    compaction=Compaction(
        pending_communities=compaction.pending_communities,
        compact=compaction.compact,
        compact_pending=compaction.compact_pending,
        apply_backpressure=_apply_backpressure,
        repair=compaction.repair,
    ),
    rollup_tables=("group_rollups", "balance_rollups", "snapshot_rollups"),
    empty_counts=_EMPTY_COUNTS,
    drop_expired=_drop_tombstones,
    verify=_verify,
    metrics=(
        FactMetric(
            "regulars_uncompacted_member_deltas",
            "Changes of the number of members that compaction has not added to counts and rollups yet.",
            compaction.count_uncompacted,
        ),
    ),
)
