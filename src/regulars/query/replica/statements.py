"""What a replica reads from PostgreSQL, by COPY as far as it is rows of members."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import pyarrow as pa

from regulars.query.replica.columns import NEXT_CHANGE, VALUE_COLUMNS, VALUES_VERSION, ReplicaColumn

SNAPSHOT = "SELECT CAST(pg_current_snapshot() AS text)"
"""The snapshot of a transaction."""

STATE = """
SELECT CAST(pg_current_snapshot() AS text) AS snapshot, values_version,
       ARRAY(SELECT profile_id FROM members WHERE community_id = $1 AND next_change_at <= $2) AS due_members,
       ARRAY(
           SELECT profile_id FROM profile_aggregations WHERE community_id = $1 AND values_version < 0 LIMIT $3
       ) AS dirty
FROM cache_versions
WHERE community_id = $1
"""
"""What a query must know of community $1 at $2: its snapshot, the version of its values, members whose membership begins or
ends by the clock, and up to $3 profiles whose values are not computed yet.
"""


def with_metadata(columns: Sequence[ReplicaColumn]) -> list[ReplicaColumn]:
    """Distinct columns, with due time and version where they include values."""
    metadata = (NEXT_CHANGE, VALUES_VERSION) if any(each.name in VALUE_COLUMNS for each in columns) else ()
    return list(dict.fromkeys((*columns, *metadata)))


def arrow_types(columns: Sequence[ReplicaColumn]) -> dict[str, pa.DataType]:
    """The types of columns by name."""
    return {each.name: each.arrow_type for each in columns}


def _select_list(columns: Sequence[ReplicaColumn]) -> str:
    return ", ".join(each.copy_expression for each in columns)


def _values_join(columns: Sequence[ReplicaColumn]) -> str:
    if all(each.table == "members" for each in columns):
        return ""
    return """
LEFT JOIN profile_aggregations ON profile_aggregations.community_id = members.community_id
                      AND profile_aggregations.profile_id = members.profile_id"""


def members(community_id: int, columns: Sequence[ReplicaColumn]) -> str:
    """The members of a community."""
    return f"""
SELECT {_select_list(columns)}
FROM members{_values_join(columns)}
WHERE members.community_id = {community_id} AND members.is_member
"""


def changed_members(community_id: int, columns: Sequence[ReplicaColumn], unseen: str, days: tuple[date, date]) -> str:
    """The members, and former members, that changed in transactions a replica has not seen, with the days of commits."""
    # One index scan for each day, because the key of the outbox begins with community and day.
    outbox_changes = f"""
    UNION
    SELECT outbox_changes.profile_id
    FROM generate_series('{days[0]}'::timestamp, '{days[1]}', '1 day') AS on_day
    CROSS JOIN LATERAL (
        SELECT profile_id
        FROM outbox
        WHERE outbox.community_id = {community_id} AND outbox.day = on_day::date AND {unseen}
    ) AS outbox_changes"""
    return f"""
SELECT {_select_list(columns)}, members.is_member
FROM (
    SELECT profile_id
    FROM members
    WHERE community_id = {community_id} AND {unseen}{outbox_changes if _values_join(columns) else ""}
) AS changed
JOIN members ON members.community_id = {community_id} AND members.profile_id = changed.profile_id{_values_join(columns)}
"""


def members_at(community_id: int, columns: Sequence[ReplicaColumn], profile_ids: Sequence[UUID], now: datetime) -> str:
    """These profiles, each with whether it is a member at an instant."""
    return f"""
SELECT {_select_list(columns)}, members.groups <> '{{}}' AND coalesce(
    (
        SELECT type = 'in'
        FROM memberships
        WHERE memberships.community_id = {community_id} AND memberships.profile_id = members.profile_id
          AND memberships.is_effective AND memberships.occurred_at <= '{now.isoformat()}'
        ORDER BY occurred_at DESC, id DESC
        LIMIT 1
    ),
    false
) AS is_member
FROM members{_values_join(columns)}
WHERE members.community_id = {community_id}
  AND members.profile_id = ANY ('{{{",".join(map(str, profile_ids))}}}'::uuid[])
"""


def stored_values(values: Sequence[ReplicaColumn]) -> str:
    """The stored values of profiles that are current."""
    return f"""
SELECT profile_id, next_change_at, values_version, {", ".join(each.name for each in values)}
FROM profile_aggregations
WHERE community_id = $1
  AND profile_id = ANY ($2::uuid[])
  AND values_version >= $3
  AND (next_change_at IS NULL OR next_change_at > $4)
"""
