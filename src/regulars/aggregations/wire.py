"""Values as they go out: money as decimals, locations whole, codes as clients know them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.definitions import REGISTRY, SEED_ORDER
from regulars.facts.countries import alpha_3
from regulars.facts.instants import written
from regulars.facts.money import from_minor_units

Locations = Mapping[int, Any]
"""Locations by id, each as it is embedded."""

_LOCATION_NAMES = tuple(each.name for each in REGISTRY.aggregations if each.type is Type.LOCATION)

ALL = REGISTRY.aggregations
SEED = tuple(REGISTRY.by_name[name] for name in SEED_ORDER)


def named(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The aggregations of those names in their own order; all where none are given. Raises KeyError by name."""
    if names is None:
        return ALL
    for name in names:
        if name not in REGISTRY.by_name:
            raise KeyError(name)
    return tuple(each for each in ALL if each.name in set(names))


def location_ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """The locations that rows of values embed."""
    return {row[name] for row in rows for name in _LOCATION_NAMES if row[name] is not None}


def outside(value: Any, kind: Type, digits: int, locations: Locations) -> Any:
    """One value as it goes out; `digits` are the decimals of the community's money."""
    if value is None:
        return None
    convert = _CONVERSIONS.get(kind)
    return value if convert is None else convert(value, digits, locations)


_CONVERSIONS: dict[Type, Callable[[Any, int, Locations], Any]] = {
    Type.MONEY: lambda value, digits, locations: from_minor_units(value, digits),
    Type.PERCENT: lambda value, digits, locations: from_minor_units(value, 2),
    Type.COUNTRY_ALPHA_3: lambda value, digits, locations: alpha_3(value),
    Type.INSTANT: lambda value, digits, locations: written(value),
    Type.LOCATION: lambda value, digits, locations: locations[value],
}


def values(
    row: Mapping[str, Any],
    as_of: datetime,
    digits: int,
    locations: Locations,
    shown: Sequence[Aggregation] = ALL,
) -> dict[str, Any]:
    """A profile's values as they go out, in order."""
    found: dict[str, Any] = {}
    for each in shown:
        kind = each.type
        if kind.column:
            found[each.name] = outside(row[each.name], kind, digits, locations)
        elif kind is Type.PROFILE_ID:
            profile_id: UUID = row["profile_id"]
            found[each.name] = str(profile_id)
        elif kind is Type.AS_OF:
            found[each.name] = written(as_of)
        else:
            found[each.name] = None
    return found
