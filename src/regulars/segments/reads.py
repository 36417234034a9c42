"""Reads segments: exact counts, members by page, the overlap of two, and memberships at a past instant."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from regulars.auth.tenants import Tenant
from regulars.core.errors import NotFoundError
from regulars.query import cursors
from regulars.query.backends import Backends
from regulars.query.compiler.groups import plan_groups
from regulars.query.encoders import format_timestamp
from regulars.query.errors import InvalidParametersError, invalid_parameter
from regulars.query.formats.records import records
from regulars.query.query import LogicalNode, ReportQuery, SegmentFilters, SegmentReference
from regulars.reports.members import MEMBERS, MEMBERS_COUNT
from regulars.segments import definitions
from regulars.segments.changes import require
from regulars.segments.definitions import CommunitySegments, Segment
from regulars.storage.database import Scope

SEGMENT_MEMBERS = replace(
    MEMBERS,
    name="segment_members",
    fields=tuple(each if each.name == "id" else replace(each, visible=False) for each in MEMBERS.fields),
)
"""The ids of members."""


def reference(filters: SegmentFilters, tenant: Tenant, name: str) -> SegmentReference:
    """The filter of a segment. Raises NotFoundError, and InvalidParametersError if it can't be evaluated."""
    named = filters.by_community.get(tenant.community_id, {})
    found = named.get(name)
    if found is None:
        names = ", ".join(sorted(named)[:20]) or "none"
        raise NotFoundError(f"There is no segment {name!r}. Segments of the community: {names}.")
    if found.filter is None:
        message = f"Segment {name!r} can't be evaluated: {found.problem}"
        raise InvalidParametersError(invalid_parameter(("segment",), "invalid_segment", message).errors)
    return SegmentReference(name, {tenant.community_id: found.filter})


async def count(node: SegmentReference, tenant: Tenant, backends: Backends, now: datetime) -> dict[str, Any]:
    """The exact number of members of a segment at `now`."""
    (found,) = (await records(ReportQuery(MEMBERS_COUNT, node), [tenant], backends, now))["records"]
    return {**_without_community(found), "at": format_timestamp(now)}


def _without_community(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != "community_id"}


async def members(
    node: SegmentReference, tenant: Tenant, backends: Backends, now: datetime, page: "SegmentPage"
) -> dict[str, Any]:
    """A page of the ids of a segment's members at `now`, in ascending order. Raises InvalidParametersError."""
    query = ReportQuery(SEGMENT_MEMBERS, node, cursor=page.cursor, limit=page.limit)
    return await records(query, [tenant], backends, now)


@dataclass(frozen=True, slots=True)
class SegmentPage:
    """The cursor of a page, None for the first, and its number of records."""

    cursor: str | None
    limit: int


async def overlap(
    first: SegmentReference, second: SegmentReference, tenant: Tenant, backends: Backends, now: datetime
) -> dict[str, Any]:
    """How many members are in both segments, only in the first, and only in the second, in one snapshot."""
    filters = (first, second, LogicalNode("and", (first, second)))
    counts: list[int] = []
    async with backends.snapshot([tenant], now) as snapshot:
        for each in filters:
            plan = plan_groups(ReportQuery(MEMBERS_COUNT, each).for_community(tenant.community_id))
            values = plan.bind(tenant, now, {})
            rows = await snapshot.fetch(tenant, MEMBERS_COUNT.source.backend, plan.statement.sql, values)
            counts.append(rows[0][-1])
    both = counts[2]
    parts = {"both": both, "only_first": counts[0] - both, "only_second": counts[1] - both}
    threshold = tenant.min_cell_size or 0
    if any(0 < each < threshold for each in parts.values()):
        # Each part follows from the others and the counts of both segments.
        return {**dict.fromkeys(parts), "masked": True, "at": format_timestamp(now)}
    return {**parts, "at": format_timestamp(now)}


# The past -----------------------------------------------------------------------------------------------------

_VERSION_AT = """
SELECT id, known_since
FROM segment_versions
WHERE community_id = $1 AND segment_id = $2 AND started_at <= $3 AND (ended_at IS NULL OR ended_at > $3)
"""

_FIRST_KNOWN = """
SELECT min(known_since) FROM segment_versions WHERE community_id = $1 AND segment_id = $2
"""

_COUNT_AT = """
SELECT count(*)
FROM segment_memberships
WHERE community_id = $1 AND version_id = $2 AND entered_at > '-infinity'
  AND entered_at <= $3 AND (left_at IS NULL OR left_at > $3)
"""

_MEMBERS_AT = """
SELECT s.profile_id, m.member_id
FROM segment_memberships AS s
JOIN members AS m ON m.community_id = $1 AND m.profile_id = s.profile_id
WHERE s.community_id = $1 AND s.version_id = $2 AND s.entered_at > '-infinity'
  AND s.entered_at <= $3 AND (s.left_at IS NULL OR s.left_at > $3)
  AND s.profile_id > $4
ORDER BY s.profile_id
LIMIT $5
"""

_FIRST_ID = UUID(int=0)


async def _version_at(scope: Scope, segment: Segment, at: datetime) -> int:
    """The version whose memberships are those of an instant. Raises InvalidParametersError if they are unknown."""
    if at > scope.now:
        raise invalid_parameter(("at",), "less_than_or_equal_to", "Must not be in the future.")
    row = await scope.fetchrow(_VERSION_AT, scope.community_id, segment.id, at)
    if row is not None and row["known_since"] is not None and row["known_since"] <= at:
        version_id: int = row["id"]
        return version_id
    known = await scope.fetchval(_FIRST_KNOWN, scope.community_id, segment.id)
    if known is None:
        message = "The memberships of the segment are still being computed. Without `at` it can be queried already."
        raise invalid_parameter(("at",), "unknown", message)
    if at < known:
        since = format_timestamp(known)
        message = f"The memberships of the segment are known since {since}."
        raise invalid_parameter(("at",), "greater_than_or_equal_to", message, than=since)
    message = "The memberships at that instant are unknown: a new version of the segment was being computed."
    raise invalid_parameter(("at",), "unknown", message)


async def _segment(scope: Scope, name: str) -> Segment:
    return require(await definitions.fetch(scope), name)


async def count_at(scope: Scope, name: str, tenant: Tenant, at: datetime) -> dict[str, Any]:
    """The number of members of a segment at a past instant. Raises NotFoundError and InvalidParametersError."""
    version_id = await _version_at(scope, await _segment(scope, name), at)
    number = await scope.fetchval(_COUNT_AT, scope.community_id, version_id, at)
    is_masked = 0 < number < (tenant.min_cell_size or 0)
    found = {"members_count": None, "masked": True} if is_masked else {"members_count": number}
    return {**found, "at": format_timestamp(at)}


# A member is counted from the first instant that is not before it entered, to before the first that is not before it left.
_COUNTS_BETWEEN = """
SELECT
    width_bucket(entered_at - interval '1 microsecond', $3::timestamptz[]) AS first,
    CASE WHEN left_at IS NOT NULL THEN width_bucket(left_at - interval '1 microsecond', $3::timestamptz[]) END AS last,
    count(*) AS members
FROM segment_memberships
WHERE community_id = $1 AND version_id = $2 AND entered_at > '-infinity'
GROUP BY first, last
"""

_VERSIONS = """
SELECT id, greatest(known_since, started_at) AS start, ended_at AS "end"
FROM segment_versions
WHERE community_id = $1 AND segment_id = $2 AND known_since IS NOT NULL
"""


async def counts_at(scope: Scope, name: str, tenant: Tenant, instants: Sequence[datetime]) -> dict[str, Any]:
    """The number of members of a segment at past instants in ascending order; null where it is unknown or suppressed.

    Raises NotFoundError.
    """
    segment = await _segment(scope, name)
    counts: list[int | None] = [None] * len(instants)
    for version in await scope.fetch(_VERSIONS, scope.community_id, segment.id):
        known = [
            index
            for index, at in enumerate(instants)
            if version["start"] <= at and (version["end"] is None or at < version["end"])
        ]
        if not known:
            continue
        found = [0] * len(instants)
        for row in await scope.fetch(_COUNTS_BETWEEN, scope.community_id, version["id"], instants):
            last = len(instants) if row["last"] is None else row["last"]
            for index in range(row["first"], last):
                found[index] += row["members"]
        for index in known:
            counts[index] = None if 0 < found[index] < (tenant.min_cell_size or 0) else found[index]
    return {
        "counts": [
            {"at": format_timestamp(at), "members_count": number} for at, number in zip(instants, counts, strict=True)
        ]
    }


async def members_at(scope: Scope, name: str, at: datetime, page: SegmentPage, key: bytes) -> dict[str, Any]:
    """A page of the ids of the members of a segment at a past instant, in no particular order.

    Raises NotFoundError, and InvalidParametersError, also for a cursor of another request.
    """
    version_id = await _version_at(scope, await _segment(scope, name), at)
    identity = ["segment_members_at", scope.community_id, version_id, format_timestamp(at)]
    fingerprint = hashlib.sha256(msgspec.json.encode(identity)).digest()
    after = _FIRST_ID
    if page.cursor is not None:
        after = UUID(cursors.decode(page.cursor, fingerprint, key)[0])
    rows: Sequence[Any] = await scope.fetch(_MEMBERS_AT, scope.community_id, version_id, at, after, page.limit + 1)
    shown = rows[: page.limit]
    next_page = None
    if len(rows) > page.limit:
        next_page = cursors.encode([str(shown[-1]["profile_id"])], fingerprint, key)
    return {
        "records": [{"id": row["member_id"]} for row in shown],
        "pagination": {"next_page_info": next_page},
        "result_type": "records",
        "at": format_timestamp(at),
    }


_ENTERED = """
SELECT version_id, max(entered_at) AS entered_at
FROM segment_memberships
WHERE community_id = $1 AND profile_id = $2 AND left_at IS NULL
GROUP BY version_id
"""


async def entered_since(scope: Scope, profile_id: UUID, segments: Iterable[Segment]) -> dict[str, datetime]:
    """When a profile entered the segments that it is in, by name; those that it was in before they were known are left out."""
    rows = await scope.fetch(_ENTERED, scope.community_id, profile_id)
    entered = {row["version_id"]: row["entered_at"] for row in rows}
    return {
        each.name: at
        for each in segments
        if each.known_since is not None and (at := entered.get(each.version_id)) is not None and at > each.known_since
    }


# Serialization ------------------------------------------------------------------------------------------------


def as_json(segments: CommunitySegments, segment: Segment) -> dict[str, Any]:
    """A segment as it is serialized."""
    problem = segments.filters[segment.name].problem
    return {
        "name": segment.name,
        "community_id": segments.community_id,
        "description": segment.description,
        "filter": segment.filter,
        "version": segment.version,
        "state": "invalid" if problem else "active" if segment.is_filled else "computing",
        "problem": problem or None,
        "known_since": None if segment.known_since is None else format_timestamp(segment.known_since),
        "created_at": format_timestamp(segment.created_at),
        "updated_at": format_timestamp(segment.updated_at),
    }
