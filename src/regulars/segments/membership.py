"""Who is in which segment: evaluated in every commit for the profiles that it has changed, and stored with its instant."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from uuid import UUID

from regulars.model.unit_of_work import UnitOfWork
from regulars.query.compiler.conditions import indent
from regulars.query.compiler.statements import CompiledStatement, local_date_number, number_parameters
from regulars.query.encoders import format_timestamp
from regulars.query.parser.filters import count_nodes
from regulars.query.query import FilterNode, resolve_segments
from regulars.segments import definitions, member_rows
from regulars.segments.definitions import MAX_CACHED_COMMUNITIES, CommunitySegments, Segment
from regulars.storage.database import Scope

MAX_PROFILES_PER_STATEMENT = 5_000

MAX_VALUES_PER_STATEMENT = 5_000
MAX_NODES_PER_STATEMENT = 2_000
"""Limits of one statement, so that any number of segments can be planned and bound."""

_BY_NUMBER = attrgetter("int")


@dataclass(frozen=True, eq=False)
class SegmentBatch:
    """Segments that one statement evaluates. Compared by identity, because statements are cached by it."""

    segments: tuple[Segment, ...]
    conditions: member_rows.CombinedConditions
    statement: CompiledStatement

    @property
    def by_version(self) -> Mapping[int, Segment]:
        """The segments by the id of their version."""
        return {each.version_id: each for each in self.segments}


@lru_cache(maxsize=MAX_CACHED_COMMUNITIES)
def compile_batches(segments: CommunitySegments) -> tuple[SegmentBatch, ...]:
    """The statements that evaluate all segments of a community whose filters are valid."""
    return compile_some(segments, segments.segments)


def depends_on_day(segments: CommunitySegments) -> bool:
    """Whether any segment has a condition that changes with the date, such as one on the age."""
    return any("today" in batch.statement.parameters for batch in compile_batches(segments))


def compile_some(segments: CommunitySegments, names: Iterable[str]) -> tuple[SegmentBatch, ...]:
    """The statements that evaluate some segments of a community, those whose filters are valid."""
    return tuple(_compile(batch) for batch in _batches(segments, names))


def _batches(segments: CommunitySegments, names: Iterable[str]) -> Iterator[list[tuple[Segment, FilterNode]]]:
    batch: list[tuple[Segment, FilterNode]] = []
    values = nodes = 0
    for name in names:
        segment = segments.segments[name]
        node = resolve_segments(segments.filters[name].filter, segments.community_id)
        if node is None:
            continue
        own_values, own_nodes = len(member_rows.bound_values(node, 0)), count_nodes(node)
        if batch and (values + own_values > MAX_VALUES_PER_STATEMENT or nodes + own_nodes > MAX_NODES_PER_STATEMENT):
            yield batch
            batch, values, nodes = [], 0, 0
        batch.append((segment, node))
        values += own_values
        nodes += own_nodes
    if batch:
        yield batch


def _compile(batch: Sequence[tuple[Segment, FilterNode]]) -> SegmentBatch:
    conditions = member_rows.combine([node for _, node in batch])
    rows = member_rows.stored_rows(member_rows.columns_used(conditions.conditions))
    return SegmentBatch(
        tuple(segment for segment, _ in batch), conditions, number_parameters(_record_sql(rows, conditions.conditions))
    )


def matching_numbers(conditions: Sequence[str]) -> str:
    """An expression over `r`: an array of the numbers, from 1, of the conditions that hold."""
    cases = ",\n".join(indent(f"CASE WHEN {each} THEN {number} END") for number, each in enumerate(conditions, 1))
    return f"array_remove(ARRAY[\n{cases}\n], NULL)"


def _record_sql(rows: str, conditions: Sequence[str]) -> str:
    """Stores which of the profiles $profiles have entered or left which of the versions $versions at $now.

    An earlier statement locked the profiles. A member whose values a load has yet to compute stays where it is.
    """
    return f"""
WITH requested AS MATERIALIZED (
    SELECT ($profiles)[k] AS profile_id FROM generate_subscripts($profiles, 1) AS k
),
r AS MATERIALIZED ({indent(rows)}
),
matching AS MATERIALIZED (
    SELECT profile_id, ($versions)[number] AS version_id
    FROM (
        SELECT r.profile_id, unnest({indent(matching_numbers(conditions))}) AS number
        FROM r
        WHERE r.is_member AND NOT r.is_dirty
    ) AS numbered
),
stored AS MATERIALIZED (
    SELECT s.profile_id, s.version_id
    FROM requested
    CROSS JOIN LATERAL (
        SELECT profile_id, version_id
        FROM segment_memberships
        WHERE community_id = $community AND profile_id = requested.profile_id AND version_id = ANY ($versions)
          AND left_at IS NULL
        OFFSET 0
    ) AS s
),
entering AS MATERIALIZED (
    SELECT profile_id, version_id FROM matching EXCEPT SELECT profile_id, version_id FROM stored
),
leaving AS MATERIALIZED (
    SELECT profile_id, version_id FROM stored
    WHERE profile_id NOT IN (SELECT profile_id FROM r WHERE is_member AND is_dirty)
    EXCEPT
    SELECT profile_id, version_id FROM matching
),
entered AS (
    INSERT INTO segment_memberships (community_id, profile_id, version_id, entered_at)
    SELECT $community, profile_id, version_id, greatest($now, (
        SELECT max(left_at)
        FROM segment_memberships AS earlier
        WHERE earlier.community_id = $community AND earlier.profile_id = entering.profile_id
          AND earlier.version_id = entering.version_id
    ))
    FROM entering
    -- The profile has left at this very instant.
    ON CONFLICT (community_id, profile_id, version_id, entered_at) DO UPDATE SET left_at = NULL
    RETURNING profile_id, version_id, entered_at AS at
),
left_now AS (
    UPDATE segment_memberships AS current
    SET left_at = greatest(entered_at, $now)
    WHERE community_id = $community
      AND profile_id = ANY (ARRAY(SELECT profile_id FROM leaving))
      AND version_id = ANY ($versions)
      AND left_at IS NULL
      AND (profile_id, version_id) IN (SELECT profile_id, version_id FROM leaving)
    RETURNING profile_id, version_id, left_at AS at
)
SELECT profile_id, version_id, at, 'segment.entered' AS event FROM entered
UNION ALL
SELECT profile_id, version_id, at, 'segment.left' FROM left_now
ORDER BY profile_id, version_id
"""


def bind(
    statement: CompiledStatement, filter_values: Sequence[object], parameters: Mapping[str, object]
) -> list[object]:
    """The values of a statement's parameters, of the filters and by name."""
    return [
        parameters[name] if index is None else filter_values[index]
        for name, index in zip(statement.parameters, statement.filter_value_indexes, strict=True)
    ]


async def record(uow: UnitOfWork, at: datetime) -> None:
    """Stores which of the changed profiles have entered or left segments at `at`, and records it as events."""
    if uow.community.segments_version is None:
        return
    changed = {
        *uow.dirty_profiles,
        *uow.dirty_members,
        *uow.removed_profiles,
        *uow.stored_values,
    } - uow.erased_profiles
    if not changed:
        return
    segments = await definitions.load(uow, uow.community.segments_version)
    for row, segment in await store(uow, compile_batches(segments), changed, at):
        if segment.is_filled:
            _record_event(uow, row, segment)


async def store(
    uow: UnitOfWork, batches: Sequence[SegmentBatch], profile_ids: Collection[UUID], at: datetime
) -> list[tuple[Any, Segment]]:
    """Stores which of the profiles have entered or left segments, and returns the changes, each with its segment.

    An earlier statement locked the profiles.
    """
    found: list[tuple[Any, Segment]] = []
    ordered = sorted(profile_ids, key=_BY_NUMBER)
    for start in range(0, len(ordered), MAX_PROFILES_PER_STATEMENT):
        for batch in batches:
            parameters = {
                **instant_parameters(uow, uow.community.timezone, at),
                "profiles": ordered[start : start + MAX_PROFILES_PER_STATEMENT],
                "versions": [each.version_id for each in batch.segments],
            }
            values = bind(batch.statement, batch.conditions.values(uow.community.minor_digits), parameters)
            by_version = batch.by_version
            rows = await uow.fetch(batch.statement.sql, *values)
            found += ((row, by_version[row["version_id"]]) for row in rows)
    return found


def instant_parameters(scope: Scope, timezone: str, at: datetime) -> dict[str, object]:
    """The parameters of conditions that depend on the community and the instant."""
    return {"community": scope.community_id, "now": at, "today": local_date_number(timezone, at)}


def _record_event(uow: UnitOfWork, row: Any, segment: Segment) -> None:
    profile_id: UUID = row["profile_id"]
    namespaces = uow.writers.get(profile_id, frozenset())
    uow.record_event(
        row["event"],
        profile_id,
        segment.name,
        {"segment": segment.name, "version": segment.version, "at": format_timestamp(row["at"])},
        namespace=next(iter(namespaces)) if len(namespaces) == 1 else None,
    )
