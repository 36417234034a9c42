"""What an erasure removes of a member: the number of rows of each table, by the declaration of personal data."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from regulars.storage import personal_data
from regulars.storage.database import Scope
from regulars.storage.table_erasure import TableErasure


@dataclass(frozen=True, slots=True)
class ErasedTable:
    """The rows of a member in one table: deleted, or retained without the columns that are `cleared`.

    `retained` are columns with data that stay, each with the reason.
    """

    table: str
    rows: int
    is_deleted: bool
    cleared: Sequence[str]
    retained: dict[str, str]


_TABLES = tuple(each for each in personal_data.TABLES.values() if each.condition)

_COUNT = "\nUNION ALL\n".join(
    f"SELECT '{each.name}' AS name, count(*) AS rows FROM {each.name} WHERE community_id = $1 AND {each.condition}"
    for each in _TABLES
)

_WITH_MERGED = """
SELECT profile_id FROM profiles WHERE community_id = $1 AND (profile_id = $2 OR merged_into = $2) ORDER BY profile_id
"""


async def describe(scope: Scope, profile_id: UUID, *, purge: bool) -> list[ErasedTable]:
    """Returns what a purge removes of a profile and those merged into it, or else what depersonalising does."""
    profile_ids = [row["profile_id"] for row in await scope.fetch(_WITH_MERGED, scope.community_id, profile_id)]
    rows = await scope.fetch(_COUNT, scope.community_id, profile_ids)
    counts = {row["name"]: row["rows"] for row in rows}
    return [_describe(each, counts[each.name], purge=purge) for each in _TABLES if counts[each.name]]


def _describe(table: TableErasure, rows: int, *, purge: bool) -> ErasedTable:
    reasons = table.retained_after_purge if purge else {**table.retained, **table.retained_after_purge}
    retained = {column: reason for columns, reason in reasons.items() for column in columns.split()}
    is_deleted = not retained if purge else not table.keeps_rows
    cleared = () if is_deleted else (*table.blanked_columns, *table.erased_columns.split())
    return ErasedTable(table.name, rows, is_deleted, [each for each in cleared if each not in retained], retained)
