"""A table of things that have an id: rows of it locked, made and changed, each as one set."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from regulars.core.errors import field_error
from regulars.model.unit_of_work import UnitOfWork

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class EntityTable:
    """`columns` are those that callers write, with their types.

    `unique` names, by index, the field that a clash is told of.
    """

    name: str
    columns: Mapping[str, str]
    unique_fields: Mapping[str, str]
    is_soft_deleted: bool = True

    @property
    def _names(self) -> str:
        return ", ".join(self.columns)

    @property
    def _present(self) -> str:
        return "AND deleted_at IS NULL" if self.is_soft_deleted else ""

    def _given(self, more: str = "") -> str:
        declared = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"jsonb_to_recordset($2::jsonb) AS given ({declared}{more})"

    async def lock_rows(self, writing: UnitOfWork, condition: str, *bound: object) -> list[Row]:
        """The rows that a condition (its values from $2 on) names, locked in the order of their ids."""
        found = await writing.fetch(
            f"""
            SELECT id, {self._names}
            FROM {self.name}
            WHERE community_id = $1 {self._present} AND {condition}
            ORDER BY id
            FOR NO KEY UPDATE
            """,
            writing.community_id,
            *bound,
        )
        return [self._decoded(row) for row in found]

    async def existing_ids(self, writing: UnitOfWork, ids: Iterable[int]) -> set[int]:
        """Which of these ids there are."""
        found = await writing.fetch(
            f"SELECT id FROM {self.name} WHERE community_id = $1 {self._present} AND id = ANY ($2)",
            writing.community_id,
            sorted(set(ids)),
        )
        return {row["id"] for row in found}

    async def insert(self, writing: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Makes rows in the order given, leaves out those that clash; gives what was made, with ids."""
        if not rows:
            return []
        made = await writing.fetch(
            f"""
            INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
            SELECT $1, {self._names}, $3, $3
            FROM {self._given()}
            ON CONFLICT DO NOTHING
            RETURNING id, {self._names}
            """,
            writing.community_id,
            list(rows),
            writing.now,
        )
        return [self._decoded(row) for row in made]

    async def insert_one(self, writing: UnitOfWork, row: Mapping[str, Any]) -> int:
        """Makes one row; gives its id. Raises Refused by field where it clashes with another."""
        with self.translate_conflicts():
            made: int = await writing.fetchval(
                f"""
                INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
                SELECT $1, {self._names}, $3, $3
                FROM {self._given()}
                RETURNING id
                """,
                writing.community_id,
                [dict(row)],
                writing.now,
            )
        return made

    async def update(self, writing: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes rows that are locked already. Raises Refused by field where one clashes with another."""
        if not rows:
            return
        with self.translate_conflicts():
            await writing.execute(
                f"""
                UPDATE {self.name} AS kept
                SET {", ".join(f"{name} = given.{name}" for name in self.columns)}, updated_at = $3
                FROM {self._given(", id bigint")}
                WHERE kept.community_id = $1 AND kept.id = given.id
                """,
                writing.community_id,
                list(rows),
                writing.now,
            )

    async def delete(self, writing: UnitOfWork, condition: str, *bound: object) -> int:
        """Takes away the rows that a condition (its values from $2 on) names; gives how many.

        What others may refer to is only marked: a reference may be on its way in a write of which this
        one knows nothing yet.
        """
        which = f"WHERE community_id = $1 {self._present} AND {condition}"
        if self.is_soft_deleted:
            marked = f"UPDATE {self.name} SET deleted_at = ${len(bound) + 2} {which}"
            status = await writing.execute(marked, writing.community_id, *bound, writing.now)
        else:
            status = await writing.execute(f"DELETE FROM {self.name} {which}", writing.community_id, *bound)
        return int(status.rpartition(" ")[2])

    @contextmanager
    def translate_conflicts(self) -> Iterator[None]:
        """Turns a clash of unique fields into a refusal of the field."""
        try:
            yield
        except asyncpg.UniqueViolationError as error:
            field = self.unique_fields.get(error.constraint_name or "")
            if field is None:
                raise
            raise field_error(field, "is taken by another: choose one that is free") from None

    def _decoded(self, row: Mapping[str, Any]) -> Row:
        return {
            name: msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value for name, value in row.items()
        }


def changed_columns(before: Mapping[str, Any], after: Mapping[str, Any]) -> set[str]:
    """The columns in which two states of a row differ."""
    return {name for name, value in after.items() if before.get(name) != value}
