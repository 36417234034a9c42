"""Verifies the stored memberships of segments: the filters are evaluated by DuckDB over values computed from the facts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from regulars.core.field_type import FieldType
from regulars.model import community as communities
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.query.compiler import filter_sql
from regulars.query.compiler.statements import local_date_number, number_parameters
from regulars.query.query import FilterNode, resolve_segments
from regulars.query.replica.columns import ALL_COLUMNS, VALUE_COLUMNS, ReplicaColumn
from regulars.reports.member_fields import AGGREGATION_FIELDS
from regulars.reports.report import Backend
from regulars.segments import definitions
from regulars.segments.definitions import Segment
from regulars.storage.copy_out import copy_to_arrow
from regulars.storage.database import Scope
from regulars.verify.export import BOOLEAN, INTEGER, TEXT, ProfileRange, export_query


@dataclass(frozen=True, slots=True)
class ExportedMemberships:
    """The members of a range of profiles, the stored memberships, and the filters of the segments, of one snapshot.

    `day` is the local date, as a number such as 20261124.
    """

    filters: tuple[tuple[Segment, FilterNode], ...]
    members: pa.Table
    memberships: pa.Table
    minor_digits: int
    day: int


_MEMBER_COLUMNS = [each for each in ALL_COLUMNS.values() if each.table == "members"]

# Members whose values or memberships are due are left to the refresh of due profiles.
_MEMBERS = f"""
SELECT {", ".join(each.copy_expression for each in _MEMBER_COLUMNS)}, members.is_member,
       stored.values_version = cache_versions.values_version
           AND (stored.next_change_at IS NULL OR stored.next_change_at > $4::timestamptz)
           AND (members.next_change_at IS NULL OR members.next_change_at > $4::timestamptz) AS is_current
FROM members
JOIN cache_versions ON cache_versions.community_id = members.community_id
JOIN profile_aggregations AS stored
    ON stored.community_id = members.community_id AND stored.profile_id = members.profile_id
WHERE members.community_id = $1 AND members.profile_id BETWEEN $2::uuid AND $3::uuid
"""

_MEMBERSHIPS = """
SELECT profile_id, version_id
FROM segment_memberships
WHERE community_id = $1 AND profile_id BETWEEN $2::uuid AND $3::uuid AND left_at IS NULL
"""

_LAST_DAY = "SELECT day FROM segment_days WHERE community_id = $1"


async def export_memberships(scope: Scope, profile_range: ProfileRange) -> ExportedMemberships | None:
    """Exports what is compared of a range of profiles; None if the community has no complete segments."""
    community = await communities.get_by_id(scope.connection, scope.community_id)
    if community.segments_version is None:
        return None
    segments = await definitions.fetch(scope)
    day = local_date_number(community.timezone, scope.now)
    is_day_current = await scope.fetchval(_LAST_DAY, scope.community_id) == day
    filters = tuple(
        (segment, node)
        for name, segment in segments.segments.items()
        if segment.is_filled
        and (node := resolve_segments(segments.filters[name].filter, scope.community_id)) is not None
        and (is_day_current or "$today" not in filter_sql.condition(node, Backend.DUCKDB).sql)
    )
    if not filters:
        return None
    arguments = (scope.community_id, profile_range.first, profile_range.last)
    columns = {each.name: each.arrow_type for each in _MEMBER_COLUMNS}
    flags = {"is_member": BOOLEAN, "is_current": BOOLEAN}
    async with copy_to_arrow(scope.connection, _MEMBERS, {**columns, **flags}, (*arguments, scope.now)) as batches:
        members = batches.read_all()
    memberships = await export_query(scope, _MEMBERSHIPS, arguments, {"profile_id": TEXT, "version_id": INTEGER})
    return ExportedMemberships(filters, members, memberships, community.minor_digits, day)


_REPORTED_TYPES = {each.name: each.type for each in AGGREGATION_FIELDS}


def _value(column: ReplicaColumn) -> str:
    """The expression of a recomputed value as the replica of members has it."""
    name = column.name
    if _REPORTED_TYPES[name] is FieldType.TIMESTAMP:
        return f"timezone('UTC', value.{name}) AS {name}"
    if column.element_type:
        return f"coalesce(value.{name}, []) AS {name}"
    return f"{column.duckdb_sql.format(f'value.{name}')} AS {name}"


_ROWS = f"""
SELECT {", ".join(f'{each.duckdb_expression} AS "{each.name}"' for each in _MEMBER_COLUMNS)},
       imported.is_member, imported.is_current,
       {", ".join(map(_value, VALUE_COLUMNS.values()))}
FROM exported_members AS imported
JOIN recomputed AS value ON CAST(value.profile_id AS VARCHAR) = CAST(imported.profile_id AS VARCHAR)
"""

_DIFFERENCES = """
SELECT CAST(r.profile_id AS VARCHAR) AS profile_id, stored.profile_id IS NOT NULL AS is_stored
FROM segment_rows AS r
LEFT JOIN exported_memberships AS stored
    ON stored.profile_id = CAST(r.profile_id AS VARCHAR) AND stored.version_id = CAST($version AS BIGINT)
WHERE r.is_current AND (r.is_member AND coalesce({condition}, FALSE)) <> (stored.profile_id IS NOT NULL)
ORDER BY 1
"""


def differences(engine: DuckDBEngine, exported: ExportedMemberships, at: datetime) -> Iterator[tuple[str, str, bool]]:
    """Yields profile, segment, and whether a membership is stored, where the filter says otherwise.

    The engine has the relation `recomputed` of the same range.
    """
    connection = engine.connection
    connection.register("exported_members", exported.members)
    connection.register("exported_memberships", exported.memberships)
    connection.execute(f"CREATE TEMP TABLE segment_rows AS {_ROWS}")
    for segment, node in exported.filters:
        condition = filter_sql.condition(node, Backend.DUCKDB).sql
        statement = number_parameters(_DIFFERENCES.format(condition=f"({condition})"))
        filter_values = filter_sql.bound_values(node, Backend.DUCKDB, exported.minor_digits)
        named: dict[str, Any] = {"version": segment.version_id, "today": exported.day, "now": at}
        values = [
            named[name] if index is None else filter_values[index]
            for name, index in zip(statement.parameters, statement.filter_value_indexes, strict=True)
        ]
        for profile_id, is_stored in connection.execute(statement.sql, values).fetchall():
            yield profile_id, segment.name, is_stored
