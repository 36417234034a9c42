"""What others name before it comes itself: rows by external id, expected until then."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from regulars.model.repository import EntityTable, Row
from regulars.model.unit_of_work import UnitOfWork


async def get_or_create_ids(uow: UnitOfWork, table: str, external_ids: Collection[str]) -> dict[str, int]:
    """The ids of rows by external id; those that are not there yet are expected to come."""
    wanted = sorted(external_ids)
    found = await _ids(uow, table, wanted)
    if missing := [each for each in wanted if each not in found]:
        # Whoever makes the same at once has made it when this returns, so it is found next.
        await uow.execute(
            f"""
            INSERT INTO {table} (community_id, external_id, is_placeholder, created_at)
            SELECT $1, external_id, TRUE, $3
            FROM unnest($2::text[]) AS given (external_id)
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
    """Makes or changes rows by external id, of each the columns that are given; a row sees those before it.

    Gives an outcome a row: `accepted`, or `unchanged` where it says nothing new.
    """
    wanted = {row["external_id"] for row in rows}
    await get_or_create_ids(uow, table.name, wanted)
    # Made first and locked then, as by those who tell what happened to them.
    kept = await table.lock_rows(uow, "external_id = ANY ($2)", sorted(wanted))
    before: dict[str, Row] = {row["external_id"]: row for row in kept}
    states, outcomes = dict(before), []
    for row in rows:
        state = states[row["external_id"]]
        made = {"is_placeholder": False, "created_at": uow.now} if state["is_placeholder"] else {}
        after = {**state, **made, **row}
        outcomes.append("unchanged" if after == state else "accepted")
        states[row["external_id"]] = after
    await table.update(uow, [after for key, after in states.items() if after != before[key]])
    return outcomes
