"""Locations: the stores and shops where members join and buy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.core import countries, timestamps, validation
from regulars.core.errors import NotFoundError, field_error
from regulars.core.field_type import FieldType
from regulars.model import address_country
from regulars.model.repository import EntityTable, Row, changed_columns
from regulars.model.resource import Resource, ResourceField
from regulars.model.unit_of_work import UnitOfWork


class LocationIn(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a location in a request. Absent fields are unchanged."""

    external_id: validation.Code = UNSET
    external_code: validation.Code = UNSET
    type: validation.Text = UNSET
    name: validation.Text = UNSET
    description: validation.LongText = UNSET
    phone: validation.Code = UNSET
    email: validation.Text = UNSET
    timezone: validation.Text = UNSET
    country_iso_3: validation.Text = UNSET
    is_published: validation.Bool = UNSET
    is_permanently_closed: validation.Bool = UNSET
    address: dict[str, Any] | msgspec.UnsetType | None = UNSET
    normal_hours: validation.JsonList = UNSET
    special_hours: validation.JsonList = UNSET
    tags: validation.JsonList = UNSET
    custom_fields: validation.JsonList = UNSET


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A validated location: the columns of the request."""

    columns: Mapping[str, Any]

    @property
    def external_id(self) -> str | None:
        """The external id of the request, or None."""
        external_id: str | None = self.columns.get("external_id")
        return external_id


_SHOWN = (
    ResourceField("id", FieldType.INTEGER),
    ResourceField("type", FieldType.STRING, description="`online` is the web, any other type a point of sale."),
    ResourceField("name", FieldType.STRING),
    ResourceField("description", FieldType.STRING),
    ResourceField("phone", FieldType.STRING),
    ResourceField("email", FieldType.STRING),
    ResourceField(
        "timezone", FieldType.STRING, description="IANA; decides the shop date where a transaction has no zone."
    ),
    ResourceField("external_id", FieldType.STRING),
    ResourceField("external_code", FieldType.STRING),
    ResourceField("is_published", FieldType.BOOLEAN),
    ResourceField("is_permanently_closed", FieldType.BOOLEAN),
    ResourceField("address", FieldType.OBJECT),
    ResourceField("normal_hours", FieldType.LIST),
    ResourceField("special_hours", FieldType.LIST),
    ResourceField("tags", FieldType.LIST),
    ResourceField("custom_fields", FieldType.LIST),
    ResourceField("created_at", FieldType.TIMESTAMP),
    ResourceField("updated_at", FieldType.TIMESTAMP),
)

_ONLY_FILTERED = (
    ResourceField("country", FieldType.STRING, is_visible=False),
    ResourceField("iso_state", FieldType.STRING, is_visible=False),
    ResourceField("state", FieldType.STRING, is_visible=False),
)

EMBEDDED_LOCATIONS = Resource("location", "locations AS r", _SHOWN)
"""Locations as other resources embed them, including deleted ones."""

LOCATIONS = replace(EMBEDDED_LOCATIONS, fields=(*_SHOWN, *_ONLY_FILTERED), where="r.deleted_at IS NULL")
"""Locations as the API lists them."""

_TABLE = EntityTable(
    "locations",
    {
        "external_id": "text",
        "external_code": "text",
        "type": "text",
        "name": "text",
        "description": "text",
        "phone": "text",
        "email": "text",
        "timezone": "text",
        "country": "text",
        "iso_state": "text",
        "state": "text",
        "is_published": "boolean",
        "is_permanently_closed": "boolean",
        "address": "jsonb",
        "normal_hours": "jsonb",
        "special_hours": "jsonb",
        "tags": "jsonb",
        "custom_fields": "jsonb",
        "extra": "jsonb",
    },
    unique_fields={"locations_by_external_id": "external_id"},
)

_NEW: Row = {
    **dict.fromkeys(_TABLE.columns),
    "is_published": True,
    "is_permanently_closed": False,
    "normal_hours": [],
    "special_hours": [],
    "tags": [],
    "custom_fields": [],
    "extra": {},
}

_VALUES_DEPEND_ON = {"country", "iso_state", "state", "type", "timezone", "external_id"}


def _zone(name: str) -> str:
    timestamps.zone_info(validation.check_text(name))
    return name


def _country(text: str) -> str | None:
    if not text.strip():
        return None
    countries.alpha_2(text)
    return text


def validate(location: LocationIn) -> LocationRow:
    """Validates a location. Raises ValidationError."""
    reader = validation.FieldReader()
    for name in ("external_id", "external_code", "phone"):
        reader.read(name, getattr(location, name), validation.check_code)
    for name in ("type", "name", "description", "email"):
        reader.read(name, getattr(location, name), validation.check_text)
    reader.read("timezone", location.timezone, _zone)
    reader.read("country_iso_3", location.country_iso_3, _country)
    reader.read("is_published", location.is_published, bool, null_value=True)
    reader.read("is_permanently_closed", location.is_permanently_closed, bool, null_value=False)
    reader.read("address", location.address, address_country.check_address)
    for name in ("normal_hours", "special_hours", "tags", "custom_fields"):
        reader.read(name, getattr(location, name), validation.check_json, null_value=[])
    if isinstance(location.address, dict):
        for part, text in address_country.address_errors(location.address).items():
            reader.errors.setdefault(f"address.{part}", text)
    return LocationRow(reader.result())


def _merged(before: Mapping[str, Any], row: LocationRow) -> Row:
    columns = dict(row.columns)
    extra = dict(before["extra"])
    if "country_iso_3" in columns:
        extra["country_iso_3"] = columns.pop("country_iso_3")
    after = {**before, **columns, "extra": extra}
    return {**after, **address_country.country_and_state(after["address"], extra.get("country_iso_3"))}


def _invalidate(uow: UnitOfWork, changed: set[str], *, is_another: bool = False) -> None:
    """Invalidates values and embedded locations that depend on the changed columns, or on the set of locations."""
    if changed & _VALUES_DEPEND_ON:
        uow.invalidate_values()
    if changed or is_another:
        uow.invalidate_locations()


async def create(uow: UnitOfWork, location: LocationIn) -> int:
    """Creates a location and returns its ID. Raises ValidationError."""
    created = await _TABLE.insert_one(uow, _merged(_NEW, validate(location)))
    _invalidate(uow, set(), is_another=True)
    return created


async def update(uow: UnitOfWork, location_id: int, location: LocationIn) -> None:
    """Updates a location. Raises ValidationError and NotFoundError."""
    row = validate(location)
    found = await _TABLE.lock_rows(uow, "id = $2", location_id)
    if not found:
        raise NotFoundError(f"There is no location {location_id}.")
    after = _merged(found[0], row)
    if changed := changed_columns(found[0], after):
        await _TABLE.update(uow, [after])
        _invalidate(uow, changed)


async def delete(uow: UnitOfWork, location_id: int) -> None:
    """Soft-deletes a location; references to it stay valid. Raises NotFoundError."""
    if not await _TABLE.delete(uow, "id = $2", location_id):
        raise NotFoundError(f"There is no location {location_id}.")
    _invalidate(uow, set(), is_another=True)


def find_sql(refs: str, numbers: str) -> str:
    """SQL of the ids of locations of community $1 by reference; null for unknown ones.

    `refs` and `numbers` are expressions of arrays: the references, and what `number_of` returns for each.
    """
    # Each is looked up by its key: without statistics, or with COALESCE, which is not leakproof, all locations would be read.
    return f"""
SELECT input.ref, CASE WHEN by_id.id IS NULL THEN by_external_id.id ELSE by_id.id END AS id
FROM unnest({refs}, {numbers}) AS input (ref, number)
LEFT JOIN LATERAL (
    SELECT id, deleted_at
    FROM locations
    WHERE community_id = $1 AND id = input.number
    OFFSET 0
) AS by_id ON by_id.deleted_at IS NULL
LEFT JOIN LATERAL (
    SELECT id
    FROM locations
    WHERE community_id = $1 AND external_id = input.ref AND deleted_at IS NULL
    OFFSET 0
) AS by_external_id ON TRUE
"""


_RESOLVE = find_sql("$2::text[]", "$3::bigint[]")

_PLACEHOLDERS = """
INSERT INTO locations (community_id, external_id, created_at, updated_at)
SELECT $1, ref, $3, $3
FROM unnest($2::text[]) AS ref
ORDER BY ref COLLATE "C"
ON CONFLICT (community_id, external_id) WHERE deleted_at IS NULL DO NOTHING
"""


def number_of(ref: str) -> int | None:
    """The id that a reference may be; None for other texts."""
    if not ref.isascii() or not ref.isdigit() or len(ref) > 18 or (ref[0] == "0"):
        return None
    return int(ref)


async def resolve_ids(uow: UnitOfWork, refs: Collection[str], create_missing: bool) -> dict[str, int]:
    """The ids of locations by reference: a location's id, else its external id.

    Unknown ones are left out, or created as placeholders with `create_missing`. A reference is not empty, has at most
    255 characters and no NUL.
    """
    requested = sorted(set(refs))
    found: dict[str, int] = {}
    while requested:
        rows = await uow.fetch(_RESOLVE, uow.community_id, requested, [number_of(ref) for ref in requested])
        found |= {row["ref"]: row["id"] for row in rows if row["id"] is not None}
        requested = [ref for ref in requested if ref not in found]
        if not create_missing or not requested:
            break
        # A concurrent insert of the same row has committed when this returns, so the next query finds it.
        await uow.execute(_PLACEHOLDERS, uow.community_id, requested, uow.now)
    return found


_TIMEZONES = "SELECT id, timezone FROM locations WHERE community_id = $1 AND id = ANY ($2) AND timezone IS NOT NULL"


async def timezones(uow: UnitOfWork, location_ids: Collection[int]) -> dict[int, str]:
    """The time zones of locations by id; locations without one are left out."""
    rows = await uow.fetch(_TIMEZONES, uow.community_id, sorted(location_ids))
    return {row["id"]: row["timezone"] for row in rows}


async def upsert_many(uow: UnitOfWork, rows: Sequence[LocationRow]) -> list[str]:
    """Creates or updates locations by external id, which each row must have.

    Returns an outcome per row: `accepted`, or `unchanged` if it changes nothing.
    """
    requested = {require_external_id(row) for row in rows}
    before: dict[str, Row] = {}
    created: set[str] = set()
    # Rows that a concurrent writer creates are not inserted here; the next round finds them.
    while missing := requested - created - before.keys():
        locked = await _TABLE.lock_rows(uow, "external_id = ANY ($2)", sorted(missing))
        before |= {each["external_id"]: each for each in locked}
        new, _ = _combine_rows(rows, {})
        states = [new[key] for key in sorted(missing - before.keys())]
        created |= {each["external_id"] for each in await _TABLE.insert(uow, states)}
    after, outcomes = _combine_rows(rows, before)
    changed = {key: changed_columns(state, after[key]) for key, state in before.items()}
    await _TABLE.update(uow, [after[key] for key, columns in changed.items() if columns])
    _invalidate(uow, set().union(*changed.values()), is_another=bool(created))
    return outcomes


def require_external_id(row: LocationRow) -> str:
    """Returns the external id of a row. Raises ValidationError if it has none."""
    if row.external_id is None:
        raise field_error("external_id", "is required: it identifies the row in later imports")
    return row.external_id


def _combine_rows(rows: Sequence[LocationRow], before: Mapping[str, Row]) -> tuple[dict[str, Row], list[str]]:
    """The locations after the updates by rows in their order, and the outcome of each row."""
    states = dict(before)
    outcomes = []
    for row in rows:
        state = states.get(require_external_id(row))
        after = _merged(state or _NEW, row)
        outcomes.append("unchanged" if after == state else "accepted")
        states[require_external_id(row)] = after
    return states, outcomes
