"""Values as they go out: money as decimals, locations whole, codes as clients know them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from operator import itemgetter
from typing import Any

import msgspec

from regulars.aggregations.aggregation import Aggregation, Type
from regulars.aggregations.definitions import REGISTRY, SEED_ORDER
from regulars.facts.countries import alpha_3
from regulars.facts.instants import written
from regulars.facts.money import from_minor_units

Locations = Mapping[int, msgspec.Raw]
"""Locations by id, each as the JSON that is embedded."""

_locations_of = itemgetter(*(each.name for each in REGISTRY.aggregations if each.type is Type.LOCATION))

ALL = REGISTRY.aggregations
SEED = tuple(REGISTRY.by_name[name] for name in SEED_ORDER)


def named(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The aggregations of those names in their own order; all where none are given. Raises KeyError by name."""
    if names is None:
        return ALL
    for name in names:
        if name not in REGISTRY.by_name:
            raise KeyError(name)
    wanted = set(names)
    return tuple(each for each in ALL if each.name in wanted)


def location_ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """The locations that rows of values embed."""
    found: set[Any] = set()
    for row in rows:
        found.update(_locations_of(row))
    found.discard(None)
    return found


Convert = Callable[[Any, int, Locations], Any]

_CONVERSIONS: dict[Type, Convert] = {
    Type.MONEY: lambda value, digits, locations: from_minor_units(value, digits),
    Type.PERCENT: lambda value, digits, locations: from_minor_units(value, 2),
    Type.COUNTRY_ALPHA_3: lambda value, digits, locations: alpha_3(value),
    Type.INSTANT: lambda value, digits, locations: written(value),
    Type.LOCATION: lambda value, digits, locations: locations[value],
    Type.PROFILE_ID: lambda value, digits, locations: str(value),
}


@dataclass(frozen=True, slots=True)
class _Plan:
    """How rows become what is shown, made once, for it is walked with every read.

    Most values go out as they are. They are taken from a row all at once, and only the others are looked at.
    """

    order: dict[str, Any]
    columns: tuple[str, ...]
    taken: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    converted: tuple[tuple[str, Convert], ...]


@cache
def _plan(shown: tuple[Aggregation, ...]) -> _Plan:
    columns = tuple(each.name for each in shown if each.type.column or each.type is Type.PROFILE_ID)
    return _Plan(
        order=dict.fromkeys(each.name for each in shown),
        columns=columns,
        # Of one name itemgetter would give the bare value.
        taken=itemgetter(*columns) if len(columns) > 1 else lambda row: tuple(row[name] for name in columns),
        converted=tuple((each.name, _CONVERSIONS[each.type]) for each in shown if each.type in _CONVERSIONS),
    )


def values(
    row: Mapping[str, Any], as_of: datetime, digits: int, locations: Locations, shown: tuple[Aggregation, ...] = ALL
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
        found["calculated_at"] = written(as_of)
    return found
