"""Merges groups over communities: adds measures, computes quotients of the sums, sorts and labels groups."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from operator import itemgetter
from typing import Any

import numpy as np

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.core.money import EXACT_CONTEXT
from regulars.query.compiler.groups import GroupLabel, aggregated_measures, group_fields
from regulars.query.compiler.records import enum_rank
from regulars.query.encoders import encode_value, encoder_for
from regulars.query.errors import invalid_parameter
from regulars.query.query import ReportQuery
from regulars.reports.report import ReportMeasure

LabelValues = tuple[Any, ...]
Totals = list[Any]

MAX_SORTED_IDS = 512
"""Distinct ids are counted by sorting up to this number, by a bitmap above it."""


@dataclass(frozen=True, slots=True)
class IdSet:
    """Ids of four bytes each, by the community that assigned them; ids may be repeated."""

    by_community: Mapping[int, tuple[bytes, ...]]

    def __add__(self, other: "IdSet") -> "IdSet":
        left, right = self.by_community, other.by_community
        return IdSet({each: left.get(each, ()) + right.get(each, ()) for each in {*left, *right}})

    @property
    def distinct_count(self) -> int:
        """The number of distinct ids."""
        return sum(map(_distinct_count, self.by_community.values()))


def _distinct_count(parts: Sequence[bytes]) -> int:
    found = np.frombuffer(b"".join(parts), ">i4").astype(np.int32)
    if found.size < MAX_SORTED_IDS:
        return len(np.unique(found))
    # Ids are dense, so a bitmap of a byte each is smaller and faster than sorting.
    is_present = np.zeros(found.max() + 1, np.bool_)
    is_present[found] = True
    return int(np.count_nonzero(is_present))


def merge_groups(
    measures: Sequence[ReportMeasure], width: int, results: Iterable[tuple[Tenant, Iterable[Sequence[Any]]]]
) -> dict[Any, Totals]:
    """Adds up the measures of each group over communities. The first `width` columns of a row are the group's label.

    Numbers are encoded first, because minor units differ by community. Null is ignored.
    """
    by_name = aggregated_measures(measures)
    found: dict[LabelValues, Totals] = {}
    for tenant, rows in results:
        convert = [_addend(each, tenant) for each in by_name]
        for row in rows:
            label = tuple(row[:width])
            addends = [
                None if value is None else encode(value) for value, encode in zip(row[width:], convert, strict=True)
            ]
            known = found.get(label)
            found[label] = addends if known is None else [_sum(a, b) for a, b in zip(known, addends, strict=True)]
    return found


def _addend(measure: ReportMeasure, tenant: Tenant) -> Callable[[Any], Any]:
    """The function that converts a measure so that it can be added to those of other communities."""
    if measure.is_id_list:
        return lambda value: IdSet({tenant.community_id: (value,)})
    convert = encoder_for(measure.type, tenant.minor_digits)
    assert convert is not None  # noqa: S101 - what is measured is a number
    return convert


def require_single_currency(query: ReportQuery, tenants: Sequence[Tenant]) -> None:
    """Raises InvalidParametersError where money of several currencies would be added up."""
    currencies = sorted({each.currency for each in tenants})
    is_money = any(each.type is FieldType.MONEY for each in query.measures)
    if not is_money or len(currencies) == 1 or any(each.is_tenant_field for each in group_fields(query)):
        return
    raise invalid_parameter(
        ("aggregate_by",),
        "several_currencies",
        f"The customers have different currencies ({', '.join(currencies)}), whose amounts cannot be added up. "
        "Select customers of one currency, or aggregate by community_id.",
        currencies=currencies,
    )


def _sum(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return EXACT_CONTEXT.add(a, b) if isinstance(a, Decimal) else a + b


def evaluate_measures(measures: Sequence[ReportMeasure], sums: Sequence[Any]) -> dict[str, Any]:
    """All measures of a group by name, from the sums."""
    return {each.name: measure_getter(each, measures)(sums) for each in measures}


def measure_getter(measure: ReportMeasure, measures: Sequence[ReportMeasure]) -> Callable[[Sequence[Any]], Any]:
    """The function that computes a measure of a group from the sums."""
    by_name = {each.name: (index, each) for index, each in enumerate(aggregated_measures(measures))}
    if measure.sql:
        index, _ = by_name[measure.name]
        return (lambda sums: sums[index].distinct_count) if measure.is_id_list else itemgetter(index)
    dividend, divisor = (measure_getter(by_name[name][1], measures) for name in measure.quotient or ())
    return lambda sums: _quotient(measure, dividend(sums), divisor(sums))


def _quotient(measure: ReportMeasure, dividend: Any, divisor: Any) -> Decimal | None:
    """Divides, rounding half-even to the decimals of the measure or of the dividend; null where either is null or the
    divisor is 0.
    """
    if dividend is None or not divisor:
        return None
    exact = EXACT_CONTEXT.divide(Decimal(dividend), Decimal(divisor))
    unit = Decimal(dividend) if measure.decimals is None else Decimal(1).scaleb(-measure.decimals)
    return exact.quantize(unit, ROUND_HALF_EVEN, EXACT_CONTEXT)


def sort_key(labels: Sequence[GroupLabel], values: Sequence[Any], nulls_last: bool = False) -> tuple[Any, ...]:
    """The sort key of a group: enums in declared order, strings by code point, numbers by value."""
    return tuple(_value_sort_key(each, value, nulls_last) for each, value in zip(labels, values, strict=True))


def _value_sort_key(label: GroupLabel, value: Any, nulls_last: bool) -> tuple[Any, ...]:
    if value is None:
        return (2 if nulls_last else 0,)
    if label.field.values and not label.is_status:
        return 1, enum_rank(label.field, value), value
    return 1, value


def serialize_label(labels: Sequence[GroupLabel], values: Sequence[Any], minor_digits: int) -> dict[str, Any]:
    """Serializes the label of a group."""
    return {each.key: encode_value(value, each.type, minor_digits) for each, value in zip(labels, values, strict=True)}
