"""Values as they go out: money as decimals, locations whole, codes as clients know them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import msgspec

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import FIRST_VERSION_ORDER, REGISTRY
from regulars.core.countries import alpha_3
from regulars.core.field_type import FieldType
from regulars.core.money import from_minor_units
from regulars.core.timestamps import format_timestamp

EmbeddedLocations = Mapping[int, msgspec.Raw]
"""Locations by id, each as the JSON that is embedded."""

_locations_of = itemgetter(*(each.name for each in REGISTRY.aggregations if each.type is FieldType.LOCATION))

ALL_AGGREGATIONS = REGISTRY.aggregations
FIRST_VERSION_AGGREGATIONS = tuple(REGISTRY.by_name[name] for name in FIRST_VERSION_ORDER)


def aggregations_by_name(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The aggregations of those names in their own order; all where none are given. Raises KeyError by name."""
    if names is None:
        return ALL_AGGREGATIONS
    for name in names:
        if name not in REGISTRY.by_name:
            raise KeyError(name)
    wanted = set(names)
    return tuple(each for each in ALL_AGGREGATIONS if each.name in wanted)


def location_ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """The locations that rows of values embed."""
    found: set[Any] = set()
    for row in rows:
        found.update(_locations_of(row))
    found.discard(None)
    return found


Converter = Callable[[Any, int, EmbeddedLocations], Any]

_CONVERSIONS: dict[FieldType, Converter] = {
    FieldType.MONEY: lambda value, digits, locations: from_minor_units(value, digits),
    FieldType.PERCENT: lambda value, digits, locations: from_minor_units(value, 2),
    FieldType.COUNTRY_ALPHA_3: lambda value, digits, locations: alpha_3(value),
    FieldType.TIMESTAMP: lambda value, digits, locations: format_timestamp(value),
    FieldType.LOCATION: lambda value, digits, locations: locations[value],
    FieldType.UUID: lambda value, digits, locations: str(value),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows become what is shown, made once, for it is walked with every read.

    Most values go out as they are. They are taken from a row all at once, and only the others are looked at.
    """

    order: dict[str, Any]
    columns: tuple[str, ...]
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    converted: tuple[tuple[str, Converter], ...]


@cache
def _plan(shown: tuple[Aggregation, ...]) -> _Plan:
    columns = tuple(each.name for each in shown if each.type.column_type or each.type is FieldType.UUID)
    return _Plan(
        order=dict.fromkeys(each.name for each in shown),
        columns=columns,
        # Of one name itemgetter would give the bare value.
        taken=itemgetter(*columns) if len(columns) > 1 else lambda row: tuple(row[name] for name in columns),
        converted=tuple((each.name, _CONVERSIONS[each.type]) for each in shown if each.type in _CONVERSIONS),
    )


def serialize(
    row: Mapping[str, Any],
    as_of: datetime,
    digits: int,
    locations: EmbeddedLocations,
    shown: tuple[Aggregation, ...] = ALL_AGGREGATIONS,
) -> dict[str, Any]:
    """A profile's values as they go out, in order; `digits` are the decimals of the community's money."""
    plan = _plan(shown)
    found = plan.order.copy()
    found.update(zip(plan.columns, plan.taken(row), strict=True))
    for name, convert in plan.converted:
        value = found[name]
        if value is not None:
            found[name] = convert(value, digits, locations)
    if "calculated_at" in found:
        found["calculated_at"] = format_timestamp(as_of)
    return found
