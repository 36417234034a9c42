"""`regulars.values`: the values of a profile, with their types, units and meanings."""

from typing import Any, NamedTuple

import pyarrow as pa

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.serialization import ALL_AGGREGATIONS
from regulars.core.field_type import FieldType


class Value(NamedTuple):
    """A value of a profile. `unit` is empty where it has none; money is in the currency of the club."""

    name: str
    type: str
    unit: str
    meaning: str


def values() -> list[Value]:
    """The values that `regulars.compute` returns, in their order."""
    return [Value(each.name, each.type.aggregation_name, _unit(each, "currency"), each.description) for each in _SHOWN]


_SHOWN = tuple(each for each in ALL_AGGREGATIONS if each.type is not FieldType.ALWAYS_NULL)


def _unit(of: Aggregation, currency: str) -> str:
    if of.type is FieldType.MONEY:
        return currency
    if of.type is FieldType.PERCENT:
        return "percent"
    return "days" if of.type is FieldType.INTEGER and of.name.endswith("_days") else ""


def with_metadata(table: Any, currency: str) -> Any:
    """An Arrow table whose fields have the meaning, the type and the unit of their value as metadata."""
    by_name = {each.name: each for each in ALL_AGGREGATIONS}
    fields = []
    for field in table.schema:
        of = by_name.get(field.name)
        if of is not None:
            metadata = {"meaning": of.description, "type": of.type.aggregation_name, "unit": _unit(of, currency)}
            field = field.with_metadata(metadata)
        fields.append(field)
    return table.cast(pa.schema(fields, metadata=table.schema.metadata))
