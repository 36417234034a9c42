"""Puts plain rows, column by column: the same rows of the same tables that `transactions.put` makes of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pyarrow as pa

from regulars.facts import instants, locations, profile_lookup, profiles, transaction_items
from regulars.facts.transactions import EITHER
from regulars.facts.writing import Writing
from regulars.ingest import claims
from regulars.ingest.transactions import INSERT, NO_ITEMS, OutdatedError
from regulars.storage.arrays import array

_KNOWN = """
SELECT given.place - 1 AS place, kept.fingerprint IS NOT DISTINCT FROM given.fingerprint AS is_same
FROM unnest($2::text::text[], $3::bytea[]) WITH ORDINALITY AS given (external_id, fingerprint, place)
JOIN transactions AS kept ON kept.community_id = $1 AND kept.external_id = given.external_id
"""

_ZONES = "SELECT id, timezone FROM locations WHERE community_id = $1 AND id = ANY ($2) AND timezone IS NOT NULL"

_NOTHING_SOLD = transaction_items.sold([], None)


@dataclass(frozen=True, slots=True)
class Came:
    """What came of plain rows: how many were loaded and unchanged, and the numbers of those that are left to the way
    by rows: they stand already and differ, or name who is not there.
    """

    loaded: int
    unchanged: int
    left: Sequence[int]


async def put_plain(writing: Writing, table: pa.Table, unit: str, *, create_profiles: bool) -> Came:
    """Puts rows that were found plain while the community's currency was `unit`. Raises OutdatedError."""
    if unit != writing.community.currency:
        raise OutdatedError
    known = await writing.fetch(
        _KNOWN, writing.community_id, array(table["external_id"].to_pylist()), table["fingerprint"].to_pylist()
    )
    left = [row["place"] for row in known if not row["is_same"]]
    fresh = _without(range(len(table)), {row["place"] for row in known})
    named = table["profile"].to_pylist()
    if not create_profiles:
        owners = await _owners(writing, {named[place] for place in fresh}, create=False)
        left += [place for place in fresh if named[place] is not None and named[place] not in owners]
        fresh = _without(fresh, set(left))
    places = table["location"].to_pylist()
    refs = {places[place] for place in fresh} - {None}
    location_ids = await locations.resolve(writing, refs, create=True) if refs else {}
    if create_profiles:
        owners = await _owners(writing, {named[place] for place in fresh}, create=True)
        left += [place for place in fresh if named[place] is not None and named[place] not in owners]
        fresh = _without(fresh, set(left))
    taken = table if len(fresh) == len(table) else table.take(pa.array(fresh, pa.int64()))
    raced = await _insert(writing, taken, owners, location_ids)
    numbers = table["number"].to_pylist()
    left += [fresh[place] for place in raced]
    return Came(len(fresh) - len(raced), sum(row["is_same"] for row in known), [numbers[place] for place in left])


def _without(places: Sequence[int], others: set[int]) -> Sequence[int]:
    return [place for place in places if place not in others] if others else places


async def _owners(writing: Writing, names: set[str | None], *, create: bool) -> Mapping[str, UUID]:
    """The profiles of names, made where there are none and `create` says so; who is not there is left out."""
    refs = {(EITHER, name) for name in names if name is not None}
    found = await profile_lookup.resolve(writing, refs) if refs else {}
    owners = {name: profile_id for (_, name), profile_id in found.items()}
    missing = {name for _, name in refs} - owners.keys()
    if create and missing:
        owners |= await profiles.create_missing(writing, missing)
    return owners


async def _insert(
    writing: Writing, table: pa.Table, owners: Mapping[str, UUID], location_ids: Mapping[str, int]
) -> list[int]:
    """Makes rows; gives the places of those whose external ids were taken meanwhile."""
    if not len(table):
        return []
    column = {name: table[name].to_pylist() for name in table.column_names}
    profile_ids = [None if name is None else owners[name] for name in column["profile"]]
    location_of = [None if name is None else location_ids[name] for name in column["location"]]
    at = await _instants(writing, column, location_of)
    nothing = [None] * len(table)
    found = await writing.fetch(
        INSERT,
        writing.community_id,
        array(column["external_id"]),
        array(profile_ids),
        array(at),
        array(column["timezone"]),
        array(column["total"]),
        array(column["currency"]),
        array(nothing),
        array(location_of),
        array([each or "" for each in column["systems"]]),
        array([bool(each) for each in column["is_void"]]),
        array(column["receipt_ref"]),
        array(nothing),
        column["fingerprint"],
        array(column["amount"]),
        array([_date(each, zone) for each, zone in zip(at, column["timezone"], strict=True)]),
        array(column["channels"]),
        array([_NOTHING_SOLD.discount] * len(table)),
        array([_NOTHING_SOLD.list_value] * len(table)),
        array(nothing),
        array(nothing),
        array([_NOTHING_SOLD.in_items] * len(table)),
        writing.now,
        *NO_ITEMS,
    )
    made = [(place, row["id"]) for place, row in enumerate(found) if row["id"] is not None]
    moved = {profile_ids[place] for place, _ in made}
    writing.touch_all((each for each in moved if each is not None), "transaction.created")
    writing.transactions.update(id_ for _, id_ in made)
    receipts = column["receipt_ref"]
    unowned = [id_ for place, id_ in made if profile_ids[place] is None and receipts[place] is not None]
    if unowned:
        await claims.attach_arrived(writing, unowned)
    return [place for place, row in enumerate(found) if row["id"] is None]


async def _instants(
    writing: Writing, column: Mapping[str, Sequence[Any]], location_of: Sequence[int | None]
) -> list[datetime]:
    """When rows happened; a wall-clock time is of the row's zone, else of its location's, else of the community's."""
    local = column["local"]
    if not any(local):
        return [each.replace(tzinfo=UTC) for each in column["at"]]
    rows = await writing.fetch(_ZONES, writing.community_id, sorted({each for each in location_of if each is not None}))
    zones = {row["id"]: row["timezone"] for row in rows}
    own = writing.community.timezone
    return [
        at.replace(tzinfo=UTC) if naive is None else instants.local_instant(naive, zone or zones.get(place or 0) or own)
        for at, naive, zone, place in zip(column["at"], local, column["timezone"], location_of, strict=True)
    ]


def _date(at: datetime, zone: str | None) -> date | None:
    return None if zone is None else at.astimezone(instants.zone(zone)).date()
