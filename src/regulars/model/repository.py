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

    async def lock_rows(self, uow: UnitOfWork, condition: str, *bound: object) -> list[Row]:
        """The rows that a condition (its values from $2 on) names, locked in the order of their ids."""
        found = await uow.fetch(
            f"""
            SELECT id, {self._names}
            FROM {self.name}
            WHERE community_id = $1 {self._present} AND {condition}
            ORDER BY id
            FOR NO KEY UPDATE
            """,
            uow.community_id,
            *bound,
        )
        return [self._decoded(row) for row in found]

    async def existing_ids(self, uow: UnitOfWork, ids: Iterable[int]) -> set[int]:
        """Which of these ids there are."""
        found = await uow.fetch(
            f"SELECT id FROM {self.name} WHERE community_id = $1 {self._present} AND id = ANY ($2)",
            uow.community_id,
            sorted(set(ids)),
        )
        return {row["id"] for row in found}

    async def insert(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """Makes rows in the order given, leaves out those that clash; gives what was made, with ids."""
        if not rows:
            return []
        made = await uow.fetch(
            f"""
            INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
            SELECT $1, {self._names}, $3, $3
            FROM {self._given()}
            ON CONFLICT DO NOTHING
            RETURNING id, {self._names}
            """,
            uow.community_id,
            list(rows),
            uow.now,
        )
        return [self._decoded(row) for row in made]

    async def insert_one(self, uow: UnitOfWork, row: Mapping[str, Any]) -> int:
        """Makes one row; gives its id. Raises Refused by field where it clashes with another."""
        with self.translate_conflicts():
            made: int = await uow.fetchval(
                f"""
                INSERT INTO {self.name} (community_id, {self._names}, created_at, updated_at)
                SELECT $1, {self._names}, $3, $3
                FROM {self._given()}
                RETURNING id
                """,
                uow.community_id,
                [dict(row)],
                uow.now,
            )
        return made

    async def update(self, uow: UnitOfWork, rows: Sequence[Mapping[str, Any]]) -> None:
        """Writes rows that are locked already. Raises Refused by field where one clashes with another."""
        if not rows:
            return
        with self.translate_conflicts():
            await uow.execute(
                f"""
                UPDATE {self.name} AS kept
                SET {", ".join(f"{name} = given.{name}" for name in self.columns)}, updated_at = $3
                FROM {self._given(", id bigint")}
                WHERE kept.community_id = $1 AND kept.id = given.id
                """,
                uow.community_id,
                list(rows),
                uow.now,
            )

    async def delete(self, uow: UnitOfWork, condition: str, *bound: object) -> int:
        """Takes away the rows that a condition (its values from $2 on) names; gives how many.

        What others may refer to is only marked: a reference may be on its way in a write of which this
        one knows nothing yet.
        """
        which = f"WHERE community_id = $1 {self._present} AND {condition}"
        if self.is_soft_deleted:
            marked = f"UPDATE {self.name} SET deleted_at = ${len(bound) + 2} {which}"
            status = await uow.execute(marked, uow.community_id, *bound, uow.now)
        else:
            status = await uow.execute(f"DELETE FROM {self.name} {which}", uow.community_id, *bound)
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
