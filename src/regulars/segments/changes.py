"""Creates, changes and deletes segments. Each change of a filter is a new version of the definition."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from regulars.core.errors import NotFoundError
from regulars.query.errors import (
    ErrorCollector,
    ParameterError,
    invalid_parameter,
    json_type,
    missing,
)
from regulars.query.parser.filters import count_nodes
from regulars.query.parser.request import decode_body, decode_value, reject_unknown_keys
from regulars.query.query import NamedFilter
from regulars.segments import definitions
from regulars.segments.definitions import CommunitySegments, Segment, parse_filters, referenced_names
from regulars.storage.database import Scope

MAX_NAME_LENGTH = 64
MAX_DESCRIPTION_LENGTH = 1_000
MAX_FILTER_BYTES = 200_000
"""Bytes of a segment's filter."""

MAX_COMMUNITY_NODES = 10_000
"""Nodes of the filters of all segments of a community, each with those of the segments that it refers to."""

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a definition: the token and its organization, or neither for a command."""

    organization_id: int | None = None
    token_id: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentInput:
    """A segment in a request. None is absent, and leaves what is stored."""

    name: str | None = None
    description: str | None = None
    filter: msgspec.Raw | None = None


def parse_input(body: bytes, known: Collection[str]) -> SegmentInput:
    """Parses the body of a request. Raises InvalidJsonError and InvalidParametersError.

    The filter itself is validated with the other segments of the community, on which it may depend.
    """
    params = decode_body(body)
    errors = ErrorCollector()
    reject_unknown_keys(params, list(known), errors)
    name = _text(params, "name", MAX_NAME_LENGTH, errors) if "name" in known else None
    if name is not None and not _NAME.fullmatch(name):
        message = "Must be lower-case letters, digits, - and _, and begin with a letter or digit."
        errors.add(("name",), ParameterError("invalid", message))
    description = _text(params, "description", MAX_DESCRIPTION_LENGTH, errors)
    raw = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    found = None if params.get("filter") is None else raw["filter"].copy()
    if found is not None and len(bytes(found)) > MAX_FILTER_BYTES:
        message = f"Must have at most {MAX_FILTER_BYTES} bytes."
        errors.add(("filter",), ParameterError("too_long", message, {"maximum": MAX_FILTER_BYTES}))
    if errors.errors:
        raise errors.to_exception()
    return SegmentInput(name, description, found)


def _text(params: Mapping[str, Any], key: str, max_length: int, errors: ErrorCollector) -> str | None:
    value = params.get(key)
    if value is None:
        return None
    if not isinstance(value, str):
        errors.add((key,), ParameterError("not_a_string", f"Must be a string, not {json_type(value)}."))
    elif len(value) > max_length:
        message = f"Must have at most {max_length} characters."
        errors.add((key,), ParameterError("too_long", message, {"maximum": max_length}))
    elif "\0" in value:
        errors.add((key,), ParameterError("invalid_characters", "Must not contain the NUL character."))
    else:
        return value
    return None


# Definition changes of a community wait for each other, so that each sees the segments that it is checked against.
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('regulars.segments'), $1)"

_INSERT_SEGMENT = """
INSERT INTO segments (community_id, name, description, version_id, created_at, updated_at)
VALUES ($1, $2, $3, 0, $4, $4)
RETURNING id
"""

_INSERT_VERSION = """
WITH ended AS (
    UPDATE segment_versions
    SET ended_at = $7
    WHERE community_id = $1 AND segment_id = $2 AND ended_at IS NULL
    RETURNING number
),
started AS (
    INSERT INTO segment_versions (
        community_id, segment_id, number, filter, cause, organization_id, token_id, started_at
    )
    VALUES ($1, $2, 1 + coalesce((SELECT max(number) FROM ended), 0), $3, $4, $5, $6, $7)
    RETURNING id
)
UPDATE segments
SET version_id = (SELECT id FROM started), updated_at = $7
WHERE community_id = $1 AND id = $2
"""

RAISE_VERSION = """
UPDATE communities
SET segments_version = CASE
    WHEN EXISTS (SELECT FROM segments WHERE community_id = $1) THEN gen_random_uuid()
END
WHERE id = $1
"""
"""Makes every process load the segments of a community again."""


async def create(scope: Scope, new: SegmentInput, author: Author, max_segments: int) -> Segment:
    """Creates a segment. Raises InvalidParametersError."""
    await scope.execute(_LOCK, scope.community_id)
    errors = ErrorCollector()
    for key in ("name", "filter"):
        if getattr(new, key) is None:
            errors.add((key,), missing(key))
    if new.name is None or new.filter is None:
        raise errors.to_exception()
    stored = await definitions.fetch(scope)
    if new.name in stored.segments:
        raise invalid_parameter(("name",), "taken", f"The segment {new.name!r} exists. Change it with PUT.")
    if len(stored.segments) >= max_segments:
        message = f"The community has {len(stored.segments)} segments; at most {max_segments} are allowed."
        raise invalid_parameter(("name",), "too_many", message, max=max_segments)
    _check_filter(stored, new.name, new.filter)
    segment_id = await scope.fetchval(_INSERT_SEGMENT, scope.community_id, new.name, new.description or "", scope.now)
    await _start_version(scope, segment_id, new.filter, "created", author)
    return await _changed(scope, new.name)


async def update(scope: Scope, name: str, changes: SegmentInput, author: Author) -> Segment:
    """Changes a segment. A new filter starts a new version, also of the segments that are defined by this one.

    Raises NotFoundError, and InvalidParametersError, also for a new name of a segment that others are defined by.
    """
    await scope.execute(_LOCK, scope.community_id)
    stored = await definitions.fetch(scope)
    segment = require(stored, name)
    if changes.name is not None and changes.name != name:
        if changes.name in stored.segments:
            raise invalid_parameter(("name",), "taken", f"The segment {changes.name!r} exists. Choose another name.")
        _require_unused(stored, name)
        await scope.execute(
            "UPDATE segments SET name = $3, updated_at = $4 WHERE community_id = $1 AND id = $2",
            scope.community_id,
            segment.id,
            changes.name,
            scope.now,
        )
    if changes.description is not None and changes.description != segment.description:
        await scope.execute(
            "UPDATE segments SET description = $3, updated_at = $4 WHERE community_id = $1 AND id = $2",
            scope.community_id,
            segment.id,
            changes.description,
            scope.now,
        )
    if changes.filter is not None and decode_value(bytes(changes.filter)) != segment.tree:
        _check_filter(stored, name, changes.filter)
        await _start_version(scope, segment.id, changes.filter, "changed", author)
        for other in sorted(dependents(stored, name)):
            dependent = stored.segments[other]
            await _start_version(scope, dependent.id, dependent.filter, f"segment {name} changed", author)
    return await _changed(scope, changes.name or name)


async def delete(scope: Scope, name: str) -> None:
    """Deletes a segment; its memberships are deleted later.

    Raises NotFoundError, and InvalidParametersError if other segments are defined by it.
    """
    await scope.execute(_LOCK, scope.community_id)
    stored = await definitions.fetch(scope)
    segment = require(stored, name)
    _require_unused(stored, name)
    await scope.execute(
        "UPDATE segments SET deleted_at = $3 WHERE community_id = $1 AND id = $2",
        scope.community_id,
        segment.id,
        scope.now,
    )
    await scope.execute(RAISE_VERSION, scope.community_id)


async def restart(scope: Scope, segment: Segment) -> None:
    """Starts a new version with the same filter, which can be evaluated again."""
    await scope.execute(_LOCK, scope.community_id)
    await _start_version(scope, segment.id, segment.filter, "valid again", Author())
    await scope.execute(RAISE_VERSION, scope.community_id)


def require(stored: CommunitySegments, name: str) -> Segment:
    """The segment of a name. Raises NotFoundError."""
    found = stored.segments.get(name)
    if found is None:
        names = ", ".join(sorted(stored.segments)[:20]) or "none"
        raise NotFoundError(f"There is no segment {name!r}. Segments of the community: {names}.")
    return found


def _require_unused(stored: CommunitySegments, name: str) -> None:
    """Raises InvalidParametersError if other segments are defined by a segment."""
    if users := sorted(other for other, each in stored.segments.items() if name in referenced_names(each.tree)):
        message = f"The segment {name!r} is used by the segments {', '.join(users)}. Change them first."
        raise invalid_parameter(("name",), "used", message, by=users)


def dependents(stored: CommunitySegments, name: str) -> set[str]:
    """The names of the segments that are defined by a segment, directly or by others."""
    found: set[str] = set()
    waiting = {name}
    while waiting:
        using = {other for other, each in stored.segments.items() if waiting & referenced_names(each.tree)}
        waiting = using - found - {name}
        found |= waiting
    return found


def _check_filter(stored: CommunitySegments, name: str, new: msgspec.Raw) -> None:
    """Raises InvalidParametersError for a filter that is invalid, or makes segments that use it invalid."""
    trees = {**{other: each.tree for other, each in stored.segments.items()}, name: decode_value(bytes(new))}
    parsed, errors = parse_filters(stored.community_id, trees)
    if errors[name].errors:
        raise errors[name].to_exception()
    for other in sorted(dependents(stored, name)):
        if errors[other].errors and not stored.filters[other].problem:
            message = f"The segment {other!r} uses this one and would become invalid: {parsed[other].problem}"
            raise invalid_parameter(("filter",), "invalid_segment", message)
    if (nodes := total_nodes(parsed)) > MAX_COMMUNITY_NODES:
        message = f"The segments of the community would have {nodes} nodes; at most {MAX_COMMUNITY_NODES} are allowed."
        raise invalid_parameter(("filter",), "too_many_nodes", message, max=MAX_COMMUNITY_NODES)


def total_nodes(parsed: Mapping[str, NamedFilter]) -> int:
    """The number of nodes of all filters, each with those of the segments that it refers to."""
    return sum(count_nodes(each.filter) for each in parsed.values())


async def _start_version(scope: Scope, segment_id: int, new: msgspec.Raw, cause: str, author: Author) -> None:
    await scope.execute(
        _INSERT_VERSION,
        scope.community_id,
        segment_id,
        new,
        cause,
        author.organization_id,
        author.token_id,
        scope.now,
    )


async def _changed(scope: Scope, name: str) -> Segment:
    await scope.execute(RAISE_VERSION, scope.community_id)
    return (await definitions.fetch(scope)).segments[name]


# Versions -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SegmentVersion:
    """One version of a definition, and who started it why."""

    version: int
    filter: msgspec.Raw
    cause: str
    organization_id: int | None
    token_id: int | None
    started_at: datetime
    ended_at: datetime | None
    known_since: datetime | None


_VERSIONS = """
SELECT number AS version, filter, cause, organization_id, token_id, started_at, ended_at, known_since
FROM segment_versions
WHERE community_id = $1 AND segment_id = $2
ORDER BY number DESC
LIMIT $3
"""

MAX_VERSIONS = 1_000
"""Versions of a segment that are listed, the newest first."""


async def list_versions(scope: Scope, segment_id: int) -> list[SegmentVersion]:
    """The versions of a segment, the newest first."""
    rows = await scope.fetch(_VERSIONS, scope.community_id, segment_id, MAX_VERSIONS)
    return [SegmentVersion(**row) for row in rows]
