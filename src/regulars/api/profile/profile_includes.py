"""Adds what `include` names to profiles: the segments that they are in, and their values."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from uuid import UUID

from regulars.aggregations.reader import read_current
from regulars.auth.errors import AccessDenied
from regulars.auth.principals import PrincipalKind
from regulars.core.errors import field_error
from regulars.model import community as communities
from regulars.segments import definitions
from regulars.segments.explain import Currency, segments_of
from regulars.storage.database import Scope
from regulars.web.context import RequestContext

ProfileJson = dict[str, Any]
IncludeLoader = Callable[[RequestContext, Scope, list[ProfileJson]], Awaitable[None]]


async def _add_segments(context: RequestContext, scope: Scope, rows: list[ProfileJson]) -> None:
    """Adds the names of the segments that each profile is in now. Raises AccessDenied for members and their tokens."""
    if context.principal.kind is not PrincipalKind.COMMUNITY:
        raise AccessDenied(403, "`include=segments` requires a token of the community that is not bound to a profile.")
    community = await communities.get_by_id(scope.connection, context.community_id)
    stored = await definitions.load(scope, community.segments_version)
    profile_ids = [UUID(str(row["id"])) for row in rows]
    currency = Currency(community.timezone, community.minor_digits)
    found = await segments_of(scope, stored, profile_ids, currency)
    for profile_id, row in zip(profile_ids, rows, strict=True):
        row["segments"] = found[profile_id]


async def _add_values(context: RequestContext, scope: Scope, rows: list[ProfileJson]) -> None:
    """Adds the values of each profile."""
    profile_ids = [UUID(str(row["id"])) for row in rows]
    found = await read_current(scope, profile_ids, scope.now)
    for profile_id, row in zip(profile_ids, rows, strict=True):
        values = found.get(profile_id)
        row["aggregations"] = None if values is None else values.values()


_LOADERS: Mapping[str, IncludeLoader] = {"aggregations": _add_values, "segments": _add_segments}


def parse_includes(context: RequestContext) -> list[IncludeLoader]:
    """The functions that add what a request names in `include`. Raises ValidationError for an unknown name."""
    names = [name for part in context.query_params.get("include", "").split(",") if (name := part.strip())]
    for name in names:
        if name not in _LOADERS:
            raise field_error("include", f"has the unknown name {name!r}. Allowed: {', '.join(_LOADERS)}")
    return [_LOADERS[name] for name in names]
