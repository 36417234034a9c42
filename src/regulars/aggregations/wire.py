"""Values as they go out: money as decimals, locations whole, codes as clients know them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.definitions import REGISTRY, SEED_ORDER
from regulars.facts.countries import alpha_3
from regulars.facts.instants import written
from regulars.facts.money import from_minor_units

Locations = Mapping[int, msgspec.Raw]
"""Locations by id, each as the JSON that is embedded."""

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


Convert = Callable[[Any, int, Locations], Any]

_CONVERSIONS: dict[Type, Convert] = {
    Type.MONEY: lambda value, digits, locations: from_minor_units(value, digits),
    Type.PERCENT: lambda value, digits, locations: from_minor_units(value, 2),
    Type.COUNTRY_ALPHA_3: lambda value, digits, locations: alpha_3(value),
    Type.INSTANT: lambda value, digits, locations: written(value),
    Type.LOCATION: lambda value, digits, locations: locations[value],
    Type.PROFILE_ID: lambda value, digits, locations: str(value),
}


@cache
def _plan(shown: tuple[Aggregation, ...]) -> tuple[tuple[str, str, Convert | None], ...]:
    """For each value: its name, the column that it comes from (empty: none), and how it goes out.

    Made once, for this is walked with every read.
    """
    return tuple(
        (
            each.name,
            each.name if each.type.column or each.type is Type.PROFILE_ID else "",
            _CONVERSIONS.get(each.type),
        )
        for each in shown
    )


def values(
    row: Mapping[str, Any], as_of: datetime, digits: int, locations: Locations, shown: tuple[Aggregation, ...] = ALL
) -> dict[str, Any]:
    """A profile's values as they go out, in order; `digits` are the decimals of the community's money."""
    found: dict[str, Any] = {}
    for name, column, convert in _plan(shown):
        value = row[column] if column else None
        found[name] = value if convert is None or value is None else convert(value, digits, locations)
    if "calculated_at" in found:
        found["calculated_at"] = written(as_of)
    return found
