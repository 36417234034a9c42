"""Tables of entities with an id: statements that lock, insert, update and delete sets of rows."""

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
    """A table of entities. `columns` are the types of the columns that callers write, by name.

    `unique_fields` is the field that an error names, by the unique index that a row violates. Rows of a table that
    `is_soft_deleted` are not deleted but get a `deleted_at`.
    """

    name: str
    columns: Mapping[str, str]
    unique_fields: Mapping[str, str]
    is_soft_deleted: bool = True

    @property
    def _names(self) -> str:
        return ", ".join(self.columns)

    @property
    def _not_deleted(self) -> str:
        return "AND deleted_at IS NULL" if self.is_soft_deleted else ""

    def _input(self, more: str = "") -> str:
        declared = ", ".join(f"{name} {kind}" for name, kind in self.columns.items())
        return f"jsonb_to_recordset($2::jsonb) AS input ({declared}{more})"

    async def lock_rows(self, uow: UnitOfWork, condition: str, *bound: object) -> list[Row]:
        """Locks the rows of a condition, whose values are $2 and following, in the order of their ids; returns them."""
        found = await uow.fetch(
            f"""
            SELECT id, {self._names}
            FROM {self.name}
            WHERE community_id = $1 {self._not_deleted} AND {condition}
            ORDER BY id
            FOR NO KEY UPDATE
            """,
            uow.community_id,
            *bound,
        )
        return [self._decoded(row) for row in found]

    async def existing_ids(self, uow: UnitOfWork, ids: Iterable[int]) -> set[int]:
        """Those of the ids that exist."""
        found = await uow.fetch(
            f"SELECT id FROM {self.name} WHERE community_id = $1 {self._not_deleted} AND id = ANY ($2)",
            uow.community_id,
            sorted(set(ids)),
        )
        return {row["id"] for row in found}

    async def insert(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Inserts rows in their order, except those that violate a unique index; returns the inserted rows with ids."""
        if not rows:
            return []
        inserted = await uow.fetch(
            f"""
            INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
            SELECT $1, {self._names}, $3, $3
            FROM {self._input()}
            ON CONFLICT DO NOTHING
            RETURNING id, {self._names}
            """,
            uow.community_id,
            list(rows),
            uow.now,
        )
        return [self._decoded(row) for row in inserted]

    async def insert_one(self, uow: UnitOfWork, row: Mapping[str, Any]) -> int:
        """Inserts a row and returns its id. Raises ValidationError if it violates a unique index."""
        with self.translate_conflicts():
            row_id: int = await uow.fetchval(
                f"""
                INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
                SELECT $1, {self._names}, $3, $3
                FROM {self._input()}
                RETURNING id
                """,
                uow.community_id,
                [dict(row)],
                uow.now,
            )
        return row_id

    async def update(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
        """Updates rows that are locked. Raises ValidationError if one violates a unique index."""
        if not rows:
            return
        with self.translate_conflicts():
            await uow.execute(
                f"""
                UPDATE {self.name} AS target
                SET {", ".join(f"{name} = input.{name}" for name in self.columns)}, updated_at = $3
                FROM {self._input(", id bigint")}
                WHERE target.community_id = $1 AND target.id = input.id
                """,
                uow.community_id,
                list(rows),
                uow.now,
            )

    async def delete(self, uow: UnitOfWork, condition: str, *bound: object) -> int:
        """Deletes the rows of a condition, whose values are $2 and following; returns their number.

        Rows that others may reference are soft-deleted, because a concurrent write may be adding a reference.
        """
        where = f"WHERE community_id = $1 {self._not_deleted} AND {condition}"
        if self.is_soft_deleted:
            statement = f"UPDATE {self.name} SET deleted_at = ${len(bound) + 2} {where}"
            status = await uow.execute(statement, uow.community_id, *bound, uow.now)
        else:
            status = await uow.execute(f"DELETE FROM {self.name} {where}", uow.community_id, *bound)
        return int(status.rpartition(" ")[2])

    @contextmanager
    def translate_conflicts(self) -> Iterator[None]:
        """Converts a violation of a unique index into a ValidationError of the field."""
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
    """The names of the columns in which two states of a row differ."""
    return {name for name, value in after.items() if before.get(name) != value}
