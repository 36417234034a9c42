"""Groups of rows, put together over communities: numbers added up, quotients taken of what was added, in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from operator import itemgetter
from typing import Any

import numpy as np

from regulars.auth.tenants import Tenant
from regulars.core.money import EXACT_CONTEXT
from regulars.query.compiler.compiler import GroupLabel, aggregated_measures, enum_rank, group_fields
from regulars.query.encoders import encode_value, encoder_for
from regulars.query.errors import invalid_parameter
from regulars.query.query import ReportQuery
from regulars.reports.report import FieldType, ReportMeasure

LabelValues = tuple[Any, ...]
Totals = list[Any]

MAX_SORTED_IDS = 512
"""So few numbers are sorted to find those that are alike; more are ticked off."""


@dataclass(frozen=True, slots=True)
class IdSet:
    """Numbers, four bytes each, by the community that gave them out: what is added up may hold the same again."""

    by_community: Mapping[int, tuple[bytes, ...]]

    def __add__(self, other: "IdSet") -> "IdSet":
        mine, others = self.by_community, other.by_community
        return IdSet({each: mine.get(each, ()) + others.get(each, ()) for each in {*mine, *others}})

    @property
    def distinct_count(self) -> int:
        """How many different ones there are."""
        return sum(map(_different, self.by_community.values()))


def _different(parts: Sequence[bytes]) -> int:
    found = np.frombuffer(b"".join(parts), ">i4").astype(np.int32)
    if found.size < MAX_SORTED_IDS:
        return len(np.unique(found))
    # They are dense, so that this takes a byte for each there is and no sorting.
    there = np.zeros(found.max() + 1, np.bool_)
    there[found] = True
    return int(np.count_nonzero(there))


def merge_groups(
    measures: Sequence[ReportMeasure], width: int, answers: Iterable[tuple[Tenant, Iterable[Sequence[Any]]]]
) -> dict[Any, Totals]:
    """The measures of each group by the first `width` columns of its rows, added up over communities.

    Numbers are as they go out, for minor units are each community's own. What is null in one counts as nothing.
    """
    given_by = aggregated_measures(measures)
    found: dict[LabelValues, Totals] = {}
    for customer, rows in answers:
        convert = [_as_outside(each, customer) for each in given_by]
        for row in rows:
            label = tuple(row[:width])
            given = [
                None if value is None else as_outside(value)
                for value, as_outside in zip(row[width:], convert, strict=True)
            ]
            known = found.get(label)
            found[label] = given if known is None else [_sum(a, b) for a, b in zip(known, given, strict=True)]
    return found


def _as_outside(measure: ReportMeasure, customer: Tenant) -> Callable[[Any], Any]:
    """What makes of a number what can be added to those of other communities."""
    if measure.is_id_list:
        return lambda value: IdSet({customer.community_id: (value,)})
    convert = encoder_for(measure.type, customer.minor_digits)
    assert convert is not None  # noqa: S101 - what is measured is a number
    return convert


def require_single_currency(query: ReportQuery, customers: Sequence[Tenant]) -> None:
    """Raises InvalidParametersError where money of several currencies would be added up."""
    currencies = sorted({each.currency for each in customers})
    is_money = any(each.type is FieldType.MONEY for each in query.measures)
    if not is_money or len(currencies) == 1 or any(each.is_tenant_field for each in group_fields(query)):
        return
    raise invalid_parameter(
        ("aggregate_by",),
        "several_currencies",
        f"The customers have different currencies ({', '.join(currencies)}), and money of several is not added up: "
        "ask for customers of one currency, or aggregate by community_id.",
        currencies=currencies,
    )


def _sum(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return EXACT_CONTEXT.add(a, b) if isinstance(a, Decimal) else a + b


def evaluate_measures(measures: Sequence[ReportMeasure], sums: Sequence[Any]) -> dict[str, Any]:
    """Every measure of a group by name, from those that were added up."""
    return {each.name: measure_getter(each, measures)(sums) for each in measures}


def measure_getter(measure: ReportMeasure, measures: Sequence[ReportMeasure]) -> Callable[[Sequence[Any]], Any]:
    """What gives one of the measures of a group, from those that were added up."""
    given_by = {each.name: (place, each) for place, each in enumerate(aggregated_measures(measures))}
    if measure.sql:
        place, _ = given_by[measure.name]
        return (lambda sums: sums[place].distinct_count) if measure.is_id_list else itemgetter(place)
    dividend, divisor = (measure_getter(given_by[name][1], measures) for name in measure.quotient or ())
    return lambda sums: _quotient(measure, dividend(sums), divisor(sums))


def _quotient(measure: ReportMeasure, dividend: Any, divisor: Any) -> Decimal | None:
    """One number by another, half-even to the measure's decimals or the dividend's; null where one is null or the
    divisor 0.
    """
    if dividend is None or not divisor:
        return None
    exact = EXACT_CONTEXT.divide(Decimal(dividend), Decimal(divisor))
    unit = Decimal(dividend) if measure.decimals is None else Decimal(1).scaleb(-measure.decimals)
    return exact.quantize(unit, ROUND_HALF_EVEN, EXACT_CONTEXT)


def sort_key(labels: Sequence[GroupLabel], values: Sequence[Any], nulls_last: bool = False) -> tuple[Any, ...]:
    """What groups are sorted by: enums as declared, texts by code point, numbers by value."""
    return tuple(_order(each, value, nulls_last) for each, value in zip(labels, values, strict=True))


def _order(label: GroupLabel, value: Any, nulls_last: bool) -> tuple[Any, ...]:
    if value is None:
        return (2 if nulls_last else 0,)
    if label.field.values and not label.is_status:
        return 1, enum_rank(label.field, value), value
    return 1, value


def serialize_label(labels: Sequence[GroupLabel], values: Sequence[Any], minor_digits: int) -> dict[str, Any]:
    """A group's label as it goes out."""
    return {
        each.key: value if each.is_status else encode_value(value, _element(each.field.type), minor_digits)
        for each, value in zip(labels, values, strict=True)
    }


def _element(kind: FieldType) -> FieldType:
    return FieldType.STRING if kind in (FieldType.INTEGER_LIST, FieldType.STRING_LIST, FieldType.FLAGS) else kind
