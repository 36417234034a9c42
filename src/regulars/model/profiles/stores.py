"""References of profiles to locations: by id, external id or external code."""

from collections.abc import Iterable
from typing import NamedTuple

from regulars.core import validation
from regulars.model.unit_of_work import UnitOfWork


class LocationRef(NamedTuple):
    """A reference to a location: its path in the request, the type of its id, and the id."""

    path: str
    id_type: str
    value: str


def location_ref(path: str, by: str, value: str | int) -> LocationRef:
    """Creates a reference by `id`, `external_id` or `external_code`. Raises ValueError."""
    return LocationRef(path, by, validation.check_code(value) or "")


def store_ref(path: str, value: str | int) -> LocationRef:
    """Creates a reference by id or else external id. Raises ValueError."""
    return LocationRef(path, "any", validation.check_code(value) or "")


_LOCATIONS = """
SELECT id, external_id, external_code
FROM locations
WHERE community_id = $1
    AND (id = ANY ($2) OR external_id = ANY ($3) OR external_code = ANY ($4))
ORDER BY deleted_at IS NULL, id DESC
"""


def _number(text: str) -> int | None:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        return None
    return int(text)


async def resolve_location_ids(uow: UnitOfWork, refs: Iterable[LocationRef]) -> dict[LocationRef, int]:
    """The ids of locations by reference; unknown ones are left out. Deleted ones are found if no other matches."""
    requested = set(refs)
    if not requested:
        return {}
    numbers = {ref: _number(ref.value) for ref in requested if ref.id_type in ("id", "any")}
    rows = await uow.fetch(
        _LOCATIONS,
        uow.community_id,
        [number for number in numbers.values() if number is not None],
        [ref.value for ref in requested if ref.id_type in ("external_id", "any")],
        [ref.value for ref in requested if ref.id_type == "external_code"],
    )
    # Later rows take precedence: those that are not deleted, the oldest of them last.
    ids = {row["id"] for row in rows}
    by_external_id = {row["external_id"]: row["id"] for row in rows}
    by_external_code = {row["external_code"]: row["id"] for row in rows}
    found: dict[LocationRef, int | None] = {}
    for ref in requested:
        number = numbers.get(ref)
        if ref.id_type == "external_code":
            found[ref] = by_external_code.get(ref.value)
        else:
            found[ref] = number if number in ids else None
        if found[ref] is None and ref.id_type in ("external_id", "any"):
            found[ref] = by_external_id.get(ref.value)
    return {ref: location_id for ref, location_id in found.items() if location_id is not None}
