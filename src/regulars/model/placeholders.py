"""Placeholders: rows that are created by external id when they are referenced before they arrive."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from regulars.model.repository import EntityTable, Row
from regulars.model.unit_of_work import UnitOfWork


async def get_or_create_ids(uow: UnitOfWork, table: str, external_ids: Collection[str]) -> dict[str, int]:
    """The ids of rows by external id; placeholders are created for missing ones."""
    requested = sorted(external_ids)
    found = await _ids(uow, table, requested)
    if missing := [each for each in requested if each not in found]:
        # A concurrent insert of the same row has committed when this returns, so the next query finds it.
        await uow.execute(
            f"""
            INSERT INTO {table} (community_id, external_id, is_placeholder, created_at)
            SELECT $1, external_id, TRUE, $3
            FROM unnest($2::text[]) AS input (external_id)
            ORDER BY external_id
            ON CONFLICT (community_id, external_id) WHERE external_id IS NOT NULL DO NOTHING
            """,
            uow.community_id,
            missing,
            uow.now,
        )
        found |= await _ids(uow, table, missing)
    return found


async def _ids(uow: UnitOfWork, table: str, external_ids: Sequence[str]) -> dict[str, int]:
    rows = await uow.fetch(
        f"SELECT id, external_id FROM {table} WHERE community_id = $1 AND external_id = ANY ($2)",
        uow.community_id,
        external_ids,
    )
    return {row["external_id"]: row["id"] for row in rows}


async def upsert(uow: UnitOfWork, table: EntityTable, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Creates rows or updates the given columns of existing ones, by external id; later rows override earlier ones.

    Returns an outcome per row: `accepted`, or `unchanged` if it changes nothing.
    """
    external_ids = {row["external_id"] for row in rows}
    await get_or_create_ids(uow, table.name, external_ids)
    # Created first and locked afterwards, in the same order as by the writers of their events.
    locked = await table.lock_rows(uow, "external_id = ANY ($2)", sorted(external_ids))
    before: dict[str, Row] = {row["external_id"]: row for row in locked}
    states, outcomes = dict(before), []
    for row in rows:
        state = states[row["external_id"]]
        creation = {"is_placeholder": False, "created_at": uow.now} if state["is_placeholder"] else {}
        after = {**state, **creation, **row}
        outcomes.append("unchanged" if after == state else "accepted")
        states[row["external_id"]] = after
    await table.update(uow, [after for key, after in states.items() if after != before[key]])
    return outcomes
