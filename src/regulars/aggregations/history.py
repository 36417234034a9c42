"""How a value went: it can change only where next_change_at says so, so time is walked from change to change."""

from datetime import datetime
from typing import Any
from uuid import UUID

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.reader import ProfileValues, ValueReader
from regulars.core.errors import field_error
from regulars.core.timestamps import format_timestamp
from regulars.storage.database import Scope

MAX_CHANGE_POINTS = 2_000
"""Instants looked at for one answer; a member who shops weekly passes about 200 a year."""


async def value_changes(
    reader: ValueReader, scope: Scope, profile_id: UUID, aggregation: Aggregation, start: datetime, end: datetime
) -> list[dict[str, Any]]:
    """The value of a profile that is there at `start`, then each change up to and including `end`, as
    `{at, value}`, from the facts as they stand now. Raises Refused where the range holds too many instants.
    """
    at: datetime | None = start
    changes: list[dict[str, Any]] = []
    last: object = None
    for _ in range(MAX_CHANGE_POINTS):
        if at is None or at > end:
            return changes
        (read,) = await reader.read_in_scope(scope, [(profile_id, at)])
        assert read is not None  # noqa: S101 - within one snapshot
        kept = read.row[aggregation.name] if aggregation.type.column_type else None
        if not changes or kept != last:
            changes.append({"at": format_timestamp(at), "value": _shown(read, aggregation)})
            last = kept
        at = read.row["next_change_at"]
    raise field_error(
        "to", f"takes in more than {MAX_CHANGE_POINTS} instants at which values may change: ask for less at once"
    )


def _shown(read: ProfileValues, aggregation: Aggregation) -> Any:
    return read.values((aggregation,))[aggregation.name]
