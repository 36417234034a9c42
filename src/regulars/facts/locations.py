"""Locations: the stores and shops where members join and buy."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from msgspec import UNSET

from regulars.facts import countries, given, instants, places
from regulars.facts.refusals import NotFound, refuse
from regulars.facts.resource import Field, Kind, Resource
from regulars.facts.table import Row, Table, differing
from regulars.facts.writing import Writing


class LocationIn(msgspec.Struct, frozen=True, kw_only=True):
    """A location as it comes in. What is absent stays as it is."""

    external_id: given.Code = UNSET
    external_code: given.Code = UNSET
    type: given.Text = UNSET
    name: given.Text = UNSET
    description: given.LongText = UNSET
    phone: given.Code = UNSET
    email: given.Text = UNSET
    timezone: given.Text = UNSET
    country_iso_3: given.Text = UNSET
    is_published: given.Flag = UNSET
    is_permanently_closed: given.Flag = UNSET
    address: dict[str, Any] | msgspec.UnsetType | None = UNSET
    normal_hours: given.Several = UNSET
    special_hours: given.Several = UNSET
    tags: given.Several = UNSET
    custom_fields: given.Several = UNSET


@dataclass(frozen=True, slots=True)
class LocationRow:
    """A location that was checked: the columns that were given."""

    columns: Mapping[str, Any]

    @property
    def external_id(self) -> str | None:
        """Its id in another system, where one was given."""
        found: str | None = self.columns.get("external_id")
        return found


_SHOWN = (
    Field("id", Kind.INTEGER),
    Field("type", Kind.STRING, meaning="`online` is the web, any other type a point of sale."),
    Field("name", Kind.STRING),
    Field("description", Kind.STRING),
    Field("phone", Kind.STRING),
    Field("email", Kind.STRING),
    Field("timezone", Kind.STRING, meaning="IANA; decides the shop date where a transaction has no zone."),
    Field("external_id", Kind.STRING),
    Field("external_code", Kind.STRING),
    Field("is_published", Kind.BOOLEAN),
    Field("is_permanently_closed", Kind.BOOLEAN),
    Field("address", Kind.OBJECT),
    Field("normal_hours", Kind.LIST),
    Field("special_hours", Kind.LIST),
    Field("tags", Kind.LIST),
    Field("custom_fields", Kind.LIST),
    Field("created_at", Kind.TIME),
    Field("updated_at", Kind.TIME),
)

_ONLY_FILTERED = (
    Field("country", Kind.STRING, shown=False),
    Field("iso_state", Kind.STRING, shown=False),
    Field("state", Kind.STRING, shown=False),
)

EMBEDDED_LOCATIONS = Resource("location", "locations AS r", _SHOWN)
"""Locations as other things show them: softly deleted ones too."""

LOCATIONS = replace(EMBEDDED_LOCATIONS, fields=(*_SHOWN, *_ONLY_FILTERED), where="r.deleted_at IS NULL")
"""Locations as the API lists them."""

_TABLE = Table(
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
    unique={"locations_by_external_id": "external_id"},
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
    instants.zone(given.text(name))
    return name


def _country(text: str) -> str | None:
    if not text.strip():
        return None
    countries.alpha_2(text)
    return text


def checked(location: LocationIn) -> LocationRow:
    """A location held to its rules. Raises Refused by path."""
    reading = given.Reading()
    for name in ("external_id", "external_code", "phone"):
        reading.read(name, getattr(location, name), given.code)
    for name in ("type", "name", "description", "email"):
        reading.read(name, getattr(location, name), given.text)
    reading.read("timezone", location.timezone, _zone)
    reading.read("country_iso_3", location.country_iso_3, _country)
    reading.read("is_published", location.is_published, bool, empty=True)
    reading.read("is_permanently_closed", location.is_permanently_closed, bool, empty=False)
    reading.read("address", location.address, places.address)
    for name in ("normal_hours", "special_hours", "tags", "custom_fields"):
        reading.read(name, getattr(location, name), given.json, empty=[])
    if isinstance(location.address, dict):
        for part, text in places.errors(location.address).items():
            reading.errors.setdefault(f"address.{part}", text)
    return LocationRow(reading.done())


def _merged(before: Mapping[str, Any], row: LocationRow) -> Row:
    columns = dict(row.columns)
    extra = dict(before["extra"])
    if "country_iso_3" in columns:
        extra["country_iso_3"] = columns.pop("country_iso_3")
    after = {**before, **columns, "extra": extra}
    return {**after, **places.derived(after["address"], extra.get("country_iso_3"))}


def _raise_epochs(writing: Writing, changed: set[str], *, is_another: bool = False) -> None:
    """Tells of columns that changed, and of locations that are there from now on, or no more."""
    if changed & _VALUES_DEPEND_ON:
        writing.raise_values_epoch()
    if changed or is_another:
        writing.raise_locations_epoch()


async def create(writing: Writing, location: LocationIn) -> int:
    """Makes a location; gives its id. Raises Refused."""
    made = await _TABLE.insert_one(writing, _merged(_NEW, checked(location)))
    _raise_epochs(writing, set(), is_another=True)
    return made


async def update(writing: Writing, location_id: int, location: LocationIn) -> None:
    """Changes what is given of a location. Raises Refused and NotFound."""
    row = checked(location)
    found = await _TABLE.locked(writing, "id = $2", location_id)
    if not found:
        raise NotFound(f"There is no location {location_id}.")
    after = _merged(found[0], row)
    if changed := differing(found[0], after):
        await _TABLE.update(writing, [after])
        _raise_epochs(writing, changed)


async def delete(writing: Writing, location_id: int) -> None:
    """Takes a location out of lists; what refers to it keeps it. Raises NotFound."""
    if not await _TABLE.delete(writing, "id = $2", location_id):
        raise NotFound(f"There is no location {location_id}.")
    _raise_epochs(writing, set(), is_another=True)


_RESOLVE = """
SELECT given.ref, coalesce(by_id.id, by_external_id.id) AS id
FROM unnest($2::text[], $3::bigint[]) AS given (ref, number)
LEFT JOIN locations AS by_id
    ON by_id.community_id = $1 AND by_id.id = given.number AND by_id.deleted_at IS NULL
LEFT JOIN locations AS by_external_id
    ON by_external_id.community_id = $1
    AND by_external_id.external_id = given.ref
    AND by_external_id.deleted_at IS NULL
"""

_PLACEHOLDERS = """
INSERT INTO locations (community_id, external_id, created_at, updated_at)
SELECT $1, ref, $3, $3
FROM unnest($2::text[]) AS ref
ORDER BY ref COLLATE "C"
ON CONFLICT (community_id, external_id) WHERE deleted_at IS NULL DO NOTHING
"""


def _number(ref: str) -> int | None:
    if not ref.isascii() or not ref.isdigit() or len(ref) > 18 or (ref[0] == "0"):
        return None
    return int(ref)


async def resolve(writing: Writing, refs: Collection[str], create: bool) -> dict[str, int]:
    """The ids of locations by what refers to them: a location's id, then its external id.

    Unknown ones are left out, or made as placeholders where `create` says so. A ref is not empty, at most
    255 characters, and without NUL.
    """
    wanted = sorted(set(refs))
    found: dict[str, int] = {}
    while wanted:
        rows = await writing.fetch(_RESOLVE, writing.community_id, wanted, [_number(ref) for ref in wanted])
        found |= {row["ref"]: row["id"] for row in rows if row["id"] is not None}
        wanted = [ref for ref in wanted if ref not in found]
        if not create or not wanted:
            break
        # Whoever makes the same at once has made it when this returns, so it is found next.
        await writing.execute(_PLACEHOLDERS, writing.community_id, wanted, writing.now)
    return found


async def put_many(writing: Writing, rows: Sequence[LocationRow]) -> list[str]:
    """Makes or changes locations by external id, each of which must have one.

    Gives an outcome a row: `loaded`, or `unchanged` where it says nothing new.
    """
    wanted = {keyed(row) for row in rows}
    before: dict[str, Row] = {}
    made: set[str] = set()
    # What another writer makes meanwhile is not made here, but found when looked for again.
    while missing := wanted - made - before.keys():
        kept = await _TABLE.locked(writing, "external_id = ANY ($2)", sorted(missing))
        before |= {each["external_id"]: each for each in kept}
        new, _ = _folded(rows, {})
        states = [new[key] for key in sorted(missing - before.keys())]
        made |= {each["external_id"] for each in await _TABLE.insert(writing, states)}
    after, outcomes = _folded(rows, before)
    changed = {key: differing(state, after[key]) for key, state in before.items()}
    await _TABLE.update(writing, [after[key] for key, columns in changed.items() if columns])
    _raise_epochs(writing, set().union(*changed.values()), is_another=bool(made))
    return outcomes


def keyed(row: LocationRow) -> str:
    """The external id that tells a row from others. Raises Refused where it has none."""
    if row.external_id is None:
        raise refuse("external_id", "is required: it tells a row that comes again from a new one")
    return row.external_id


def _folded(rows: Sequence[LocationRow], before: Mapping[str, Row]) -> tuple[dict[str, Row], list[str]]:
    """What rows make of the locations that stand, and what each came to: a row sees those before it."""
    states = dict(before)
    outcomes = []
    for row in rows:
        state = states.get(keyed(row))
        after = _merged(state or _NEW, row)
        outcomes.append("unchanged" if after == state else "loaded")
        states[keyed(row)] = after
    return states, outcomes
