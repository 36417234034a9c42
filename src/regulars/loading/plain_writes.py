"""Puts plain rows, column by column: the same rows of the same tables that `transactions.put` makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pyarrow as pa

from regulars.core import timestamps
from regulars.ingest import claims
from regulars.ingest.transactions import INSERT_STATEMENT, NO_ITEMS, StaleCommunityError
from regulars.model import locations
from regulars.model.profiles import lookup, profiles
from regulars.model.transactions import line_items
from regulars.model.transactions.schema import EXTERNAL_ID_OR_ID
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

_KNOWN = """
SELECT given.place - 1 AS place, kept.fingerprint IS NOT DISTINCT FROM given.fingerprint AS is_same
FROM unnest($2::text::text[], $3::bytea[]) WITH ORDINALITY AS given (external_id, fingerprint, place)
JOIN transactions AS kept ON kept.community_id = $1 AND kept.external_id = given.external_id
"""

_ZONES = "SELECT id, timezone FROM locations WHERE community_id = $1 AND id = ANY ($2) AND timezone IS NOT NULL"

_NOTHING_SOLD = line_items.summarize_sold([], None)


@dataclass(frozen=True, slots=True)
class FastPathResult:
    """What came of plain rows: how many were loaded and unchanged, and the numbers of those that are left to the way
    by rows: they stand already and differ, or name who is not there.
    """

    loaded: int
    unchanged: int
    remaining: Sequence[int]


async def write_plain_rows(uow: UnitOfWork, table: pa.Table, unit: str, *, create_profiles: bool) -> FastPathResult:
    """Puts rows that were found plain while the community's currency was `unit`. Raises StaleCommunityError."""
    if unit != uow.community.currency:
        raise StaleCommunityError
    known = await uow.fetch(
        _KNOWN, uow.community_id, array_literal(table["external_id"].to_pylist()), table["fingerprint"].to_pylist()
    )
    left = [row["place"] for row in known if not row["is_same"]]
    fresh = _without(range(len(table)), {row["place"] for row in known})
    named = table["profile"].to_pylist()
    if not create_profiles:
        owners = await _owners(uow, {named[place] for place in fresh}, create=False)
        left += [place for place in fresh if named[place] is not None and named[place] not in owners]
        fresh = _without(fresh, set(left))
    places = table["location"].to_pylist()
    refs = {places[place] for place in fresh} - {None}
    location_ids = await locations.resolve_ids(uow, refs, create_missing=True) if refs else {}
    if create_profiles:
        owners = await _owners(uow, {named[place] for place in fresh}, create=True)
        left += [place for place in fresh if named[place] is not None and named[place] not in owners]
        fresh = _without(fresh, set(left))
    taken = table if len(fresh) == len(table) else table.take(pa.array(fresh, pa.int64()))
    raced = await _insert(uow, taken, owners, location_ids)
    numbers = table["number"].to_pylist()
    left += [fresh[place] for place in raced]
    return FastPathResult(
        len(fresh) - len(raced), sum(row["is_same"] for row in known), [numbers[place] for place in left]
    )


def _without(places: Sequence[int], others: set[int]) -> Sequence[int]:
    return [place for place in places if place not in others] if others else places


async def _owners(uow: UnitOfWork, names: set[str | None], *, create: bool) -> Mapping[str, UUID]:
    """The profiles of names, made where there are none and `create` says so; who is not there is left out."""
    refs = {(EXTERNAL_ID_OR_ID, name) for name in names if name is not None}
    found = await lookup.resolve(uow, refs) if refs else {}
    owners = {name: profile_id for (_, name), profile_id in found.items()}
    missing = {name for _, name in refs} - owners.keys()
    if create and missing:
        owners |= await profiles.get_or_create_ids(uow, missing)
    return owners


async def _insert(
    uow: UnitOfWork, table: pa.Table, owners: Mapping[str, UUID], location_ids: Mapping[str, int]
) -> list[int]:
    """Makes rows; gives the places of those whose external ids were taken meanwhile."""
    if not len(table):
        return []
    column = {name: table[name].to_pylist() for name in table.column_names}
    profile_ids = [None if name is None else owners[name] for name in column["profile"]]
    location_of = [None if name is None else location_ids[name] for name in column["location"]]
    at = await _instants(uow, column, location_of)
    nothing = [None] * len(table)
    found = await uow.fetch(
        INSERT_STATEMENT,
        uow.community_id,
        array_literal(column["external_id"]),
        array_literal(profile_ids),
        array_literal(at),
        array_literal(column["timezone"]),
        array_literal(column["total"]),
        array_literal(column["currency"]),
        array_literal(nothing),
        array_literal(location_of),
        array_literal([each or "" for each in column["systems"]]),
        array_literal([bool(each) for each in column["is_void"]]),
        array_literal(column["receipt_ref"]),
        array_literal(nothing),
        column["fingerprint"],
        array_literal(column["amount"]),
        array_literal([_date(each, zone) for each, zone in zip(at, column["timezone"], strict=True)]),
        array_literal(column["channels"]),
        array_literal([_NOTHING_SOLD.discount] * len(table)),
        array_literal([_NOTHING_SOLD.list_value] * len(table)),
        array_literal(nothing),
        array_literal(nothing),
        array_literal([_NOTHING_SOLD.in_items] * len(table)),
        uow.now,
        *NO_ITEMS,
    )
    made = [(place, row["id"]) for place, row in enumerate(found) if row["id"] is not None]
    moved = {profile_ids[place] for place, _ in made}
    uow.mark_all_dirty((each for each in moved if each is not None), "transaction.created")
    uow.changed_transactions.update(id_ for _, id_ in made)
    receipts = column["receipt_ref"]
    unowned = [id_ for place, id_ in made if profile_ids[place] is None and receipts[place] is not None]
    if unowned:
        await claims.attach_claimed(uow, unowned)
    return [place for place, row in enumerate(found) if row["id"] is None]


async def _instants(
    uow: UnitOfWork, column: Mapping[str, Sequence[Any]], location_of: Sequence[int | None]
) -> list[datetime]:
    """When rows happened; a wall-clock time is of the row's zone, else of its location's, else of the community's."""
    local = column["local"]
    if not any(local):
        return [each.replace(tzinfo=UTC) for each in column["at"]]
    rows = await uow.fetch(_ZONES, uow.community_id, sorted({each for each in location_of if each is not None}))
    zones = {row["id"]: row["timezone"] for row in rows}
    own = uow.community.timezone
    return [
        at.replace(tzinfo=UTC)
        if naive is None
        else timestamps.local_to_utc(naive, zone or zones.get(place or 0) or own)
        for at, naive, zone, place in zip(column["at"], local, column["timezone"], location_of, strict=True)
    ]


def _date(at: datetime, zone: str | None) -> date | None:
    return None if zone is None else at.astimezone(timestamps.zone_info(zone)).date()
