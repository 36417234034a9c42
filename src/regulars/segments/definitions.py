"""The segments of a community: their definitions, and their filters parsed."""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec

from regulars.auth.tenants import Tenant
from regulars.query.errors import ErrorCollector, InvalidParametersError, ParameterError
from regulars.query.parser import filters
from regulars.query.parser.request import decode_value
from regulars.query.query import FilterNode, NamedFilter, SegmentFilters
from regulars.reports.members import MEMBERS
from regulars.reports.report import Report
from regulars.storage.database import Database, Scope

MAX_DEPTH = 5
"""Levels of segments that are defined by other segments."""

MAX_CACHED_COMMUNITIES = 1_000
"""Communities whose parsed segments a process caches; the least recently used is evicted first."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment with its current version.

        `filter` is the JSON that was sent. `is_filled` says that the membership of every profile is stored, `known_since`
    since when its changes are.
    """

    id: int
    name: str
    description: str
    filter: msgspec.Raw
    version_id: int
    version: int
    created_at: datetime
    updated_at: datetime
    is_filled: bool
    known_since: datetime | None

    @property
    def tree(self) -> Any:
        """The decoded filter."""
        return decode_value(bytes(self.filter))


@dataclass(frozen=True, eq=False)
class CommunitySegments:
    """The segments of a community by name, at one version, and their parsed filters.

    Compared by identity, because statements are cached by it.
    """

    community_id: int
    version: UUID | None
    segments: Mapping[str, Segment]
    filters: Mapping[str, NamedFilter]


def parse_filters(
    community_id: int, trees: Mapping[str, Any], report: Report = MEMBERS
) -> tuple[dict[str, NamedFilter], dict[str, ErrorCollector]]:
    """Parses filters by name, which may refer to each other, and returns the parsed filters and the errors of each.

    A filter with errors has the first as its problem, and so has each that refers to it.
    """
    parsed: dict[str, NamedFilter] = {}
    errors: dict[str, ErrorCollector] = {}
    levels: dict[str, int] = {}

    def parse(name: str, parents: tuple[str, ...]) -> None:
        path = (*parents, name)
        collector = errors.setdefault(name, ErrorCollector())
        others = sorted(referenced_names(trees[name]))
        for other in others:
            if other in path:
                circle = " -> ".join((*path[path.index(other) :], other))
                message = f"Segments can't be defined by each other in a circle: {circle}."
                _add(collector, ParameterError("circular", message))
            elif other in trees and other not in parsed:
                parse(other, path)
        levels[name] = 1 + max((levels.get(other, 0) for other in others), default=0)
        if levels[name] > MAX_DEPTH:
            message = f"Segments are nested too deeply: more than {MAX_DEPTH} levels."
            _add(collector, ParameterError("too_deep", message, {"max": MAX_DEPTH}))
        node = None
        if not collector.errors:
            node = _parse(trees[name], report, collector, SegmentFilters({community_id: parsed}))
        parsed[name] = NamedFilter(None if collector.errors else node, first_message(collector))

    for name in sorted(trees):
        if name not in parsed:
            parse(name, ())
    return parsed, errors


def _parse(tree: Any, report: Report, collector: ErrorCollector, segments: SegmentFilters) -> FilterNode | None:
    try:
        node = filters.parse(tree, report, collector, segments)
    except InvalidParametersError as error:
        collector.errors = {path: list(found) for path, found in error.errors.items()}
        return None
    if node is None and not collector.errors:
        _add(collector, ParameterError("presence", "A segment must have a filter."))
    return node


def _add(collector: ErrorCollector, error: ParameterError) -> None:
    collector.add(("filter",), error)


def first_message(collector: ErrorCollector) -> str:
    """The first error, with its path; empty without errors."""
    for path, found in collector.errors.items():
        return f"{'.'.join(map(str, path))}: {found[0].message}"
    return ""


def referenced_names(tree: Any, levels: int = filters.MAX_DEPTH) -> set[str]:
    """The names of the segments that a filter, as decoded from JSON, refers to itself, down to a number of levels."""
    if not isinstance(tree, dict) or not levels:
        return set()
    name = tree.get("segment")
    found = {name} if tree.get("type") == filters.IN_SEGMENT and isinstance(name, str) else set()
    operations = tree.get("operations")
    operands: Iterable[Any] = operations if isinstance(operations, list) else ()
    for each in (*operands, tree.get("operation")):
        found |= referenced_names(each, levels - 1)
    return found


# Loading ------------------------------------------------------------------------------------------------------

_LOAD = """
SELECT c.segments_version, s.id, s.name, s.description, v.filter, v.id AS version_id, v.number AS version, s.created_at,
       s.updated_at, v.is_filled, v.known_since
FROM communities AS c
LEFT JOIN segments AS s ON s.community_id = c.id AND s.deleted_at IS NULL
LEFT JOIN segment_versions AS v ON v.community_id = c.id AND v.id = s.version_id
WHERE c.id = $1
ORDER BY s.name
"""

_cache: OrderedDict[UUID, CommunitySegments] = OrderedDict()


def clear_cache() -> None:
    """Discards all parsed segments."""
    _cache.clear()


async def load(scope: Scope, version: UUID | None) -> CommunitySegments:
    """The segments of a community, from the cache if they are of this version."""
    if version is None:
        return CommunitySegments(scope.community_id, None, {}, {})
    found = _cache.get(version)
    if found is None:
        found = parse_rows(scope.community_id, await scope.fetch(_LOAD, scope.community_id))
        if found.version is None:
            return found
        _cache[found.version] = found
        while len(_cache) > MAX_CACHED_COMMUNITIES:
            _cache.popitem(last=False)
    else:
        _cache.move_to_end(version)
    return found


async def fetch(scope: Scope) -> CommunitySegments:
    """The segments of a community as its transaction sees them."""
    return parse_rows(scope.community_id, await scope.fetch(_LOAD, scope.community_id))


def parse_rows(community_id: int, rows: Iterable[Any]) -> CommunitySegments:
    """Parses rows of segments."""
    version: UUID | None = None
    segments: dict[str, Segment] = {}
    for row in rows:
        values = dict(row)
        version = values.pop("segments_version")
        if values["id"] is not None:
            segments[values["name"]] = Segment(**values)
    parsed, _ = parse_filters(community_id, {name: each.tree for name, each in segments.items()})
    return CommunitySegments(community_id, version, segments, parsed)


async def filters_of(database: Database, tenants: Iterable[Tenant]) -> SegmentFilters:
    """The filters of the tenants' segments, for the parser of requests."""
    found: dict[int, Mapping[str, NamedFilter]] = {}
    for tenant in tenants:
        if tenant.segments_version is None:
            continue
        cached = _cache.get(tenant.segments_version)
        if cached is None:
            async with database.read_transaction(tenant.community_id) as scope:
                cached = await load(scope, tenant.segments_version)
        found[tenant.community_id] = cached.filters
    return SegmentFilters(found)
