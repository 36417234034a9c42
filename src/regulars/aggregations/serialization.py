"""Serializes values for the API: money as decimals, locations as objects, countries as alpha-3 codes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
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
"""JSON of embedded locations by id."""

_get_location_ids = itemgetter(*(each.name for each in REGISTRY.aggregations if each.type is FieldType.LOCATION))

ALL_AGGREGATIONS = REGISTRY.aggregations
FIRST_VERSION_AGGREGATIONS = tuple(REGISTRY.by_name[name] for name in FIRST_VERSION_ORDER)


def aggregations_by_name(names: Sequence[str] | None) -> tuple[Aggregation, ...]:
    """The named aggregations in the order of the registry; all if `names` is None.

    Raises KeyError for unknown names.
    """
    if names is None:
        return ALL_AGGREGATIONS
    for name in names:
        if name not in REGISTRY.by_name:
            raise KeyError(name)
    selected = set(names)
    return tuple(each for each in ALL_AGGREGATIONS if each.name in selected)


def location_ids(rows: Iterable[Mapping[str, Any]]) -> set[int]:
    """Ids of the locations that rows of values refer to."""
    serialized: set[Any] = set()
    for row in rows:
        serialized.update(_get_location_ids(row))
    serialized.discard(None)
    return serialized


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
    """Precomputed conversion of rows, because every read uses it.

    Most values are returned unchanged: all are copied in one call, then only the others are converters.
    """

    order: dict[str, Any]
    columns: tuple[str, ...]
    get_columns: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    converters: tuple[tuple[str, Converter], ...]


@lru_cache(maxsize=1_000)
def _plan(aggregations: tuple[Aggregation, ...]) -> _Plan:
    columns = tuple(each.name for each in aggregations if each.type.column_type or each.type is FieldType.UUID)
    return _Plan(
        order=dict.fromkeys(each.name for each in aggregations),
        columns=columns,
        # itemgetter returns a bare value for a single name.
        get_columns=itemgetter(*columns) if len(columns) > 1 else lambda row: tuple(row[name] for name in columns),
        converters=tuple((each.name, _CONVERSIONS[each.type]) for each in aggregations if each.type in _CONVERSIONS),
    )


def serialize(
    row: Mapping[str, Any],
    as_of: datetime,
    digits: int,
    locations: EmbeddedLocations,
    aggregations: tuple[Aggregation, ...] = ALL_AGGREGATIONS,
) -> dict[str, Any]:
    """The serialized values of a profile, in order; `digits` are the decimal places of the community's currency."""
    plan = _plan(aggregations)
    serialized = plan.order.copy()
    serialized.update(zip(plan.columns, plan.get_columns(row), strict=True))
    for name, convert in plan.converters:
        value = serialized[name]
        if value is not None:
            serialized[name] = convert(value, digits, locations)
    if "calculated_at" in serialized:
        serialized["calculated_at"] = format_timestamp(as_of)
    return serialized
