"""History of a value. A value changes only at next_change_at, so the history steps from change to change."""

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
    reader: ValueReader, scope: Scope, profile_id: UUID, aggregation: Aggregation, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """The value of a profile at `start` and each change up to and including `end`, as `{at, value}`, computed from the
    current facts. Raises Refused if the range has too many change points.
    """
    at: datetime | None = start
    changes: list[dict[str, Any]] = []
    last: object = None
    for _ in range(MAX_CHANGE_POINTS):
        if at is None or at > end:
            return changes
        (values,) = await reader.read_in_scope(scope, [(profile_id, at)])
        assert values is not None  # noqa: S101 - within one snapshot
        stored = values.row[aggregation.name] if aggregation.type.column_type else None
        if not changes or stored != last:
            changes.append({"at": format_timestamp(at), "value": _serialized(values, aggregation)})
            last = stored
        at = values.row["next_change_at"]
    raise field_error("to", f"is too far from `from`: more than {MAX_CHANGE_POINTS} change points. Narrow the range.")


def _serialized(values: ProfileValues, aggregation: Aggregation) -> Any:
    return values.values((aggregation,))[aggregation.name]
