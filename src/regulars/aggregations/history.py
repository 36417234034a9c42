"""History of a value. A value changes only at next_change_at, so the history steps from change to change."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.reader import ProfileValues, ValueReader
from regulars.core.errors import field_error
from regulars.core.timestamps import format_timestamp
from regulars.storage.database import Scope

MAX_CHANGE_POINTS = 2_000
"""Maximum number of instants computed for a request; a member who shops weekly needs about 200 a year."""


async def value_changes(
    reader: ValueReader,
    scope: Scope,
    profile_id: UUID,
    aggregations: Sequence[Aggregation],
    start: datetime,
    end: datetime,
) -> dict[str, list[dict[str, Any]]]:
    """The values of a profile at `start` and each change of one up to and including `end`, as `{at, value}` by name,
    computed from the current facts. Raises ValidationError if the range has too many change points.
    """
    at: datetime | None = start
    changes: dict[str, list[dict[str, Any]]] = {each.name: [] for each in aggregations}
    last: dict[str, object] = {}
    for _ in range(MAX_CHANGE_POINTS):
        if at is None or at > end:
            return changes
        (values,) = await reader.read_in_scope(scope, [(profile_id, at)])
        assert values is not None  # noqa: S101 - within one snapshot
        for each in aggregations:
            stored = values.row[each.name] if each.type.column_type else None
            if not changes[each.name] or stored != last[each.name]:
                changes[each.name].append({"at": format_timestamp(at), "value": _serialized(values, each)})
                last[each.name] = stored
        at = values.row["next_change_at"]
    raise field_error("to", f"is too far from `from`: more than {MAX_CHANGE_POINTS} change points. Narrow the range.")


async def values_at(
    reader: ValueReader,
    scope: Scope,
    profile_id: UUID,
    aggregations: Sequence[Aggregation],
    instants: Sequence[datetime],
) -> dict[str, list[dict[str, Any]]]:
    """The values of a profile at each instant, as `{at, value}` by name, computed from the current facts."""
    found = await reader.read_in_scope(scope, [(profile_id, each) for each in instants])
    return {
        each.name: [
            {"at": format_timestamp(at), "value": _serialized(values, each)}
            for at, values in zip(instants, found, strict=True)
            if values is not None
        ]
        for each in aggregations
    }


def _serialized(values: ProfileValues, aggregation: Aggregation) -> Any:
    return values.values((aggregation,))[aggregation.name]
