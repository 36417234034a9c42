"""Groups of rows, put together over communities: numbers added up, quotients taken of what was added, in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from operator import itemgetter
from typing import Any

import numpy as np

from regulars.access.customers import Customer
from regulars.facts.money import EXACT
from regulars.query.compiling import Label, grouping, rank, summed
from regulars.query.problems import invalid
from regulars.query.query import Query
from regulars.query.values import converted, converter
from regulars.reports.report import Kind, Measure

LabelValues = tuple[Any, ...]
Sums = list[Any]

FEW = 512
"""So few numbers are sorted to find those that are alike; more are ticked off."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """Numbers, four bytes each, by the community that gave them out: what is added up may hold the same again."""

    of_community: Mapping[int, tuple[bytes, ...]]

    def __add__(self, other: "Numbers") -> "Numbers":
        mine, others = self.of_community, other.of_community
        return Numbers({each: mine.get(each, ()) + others.get(each, ()) for each in {*mine, *others}})

    @property
    def different(self) -> int:
        """How many different ones there are."""
        return sum(map(_different, self.of_community.values()))


def _different(parts: Sequence[bytes]) -> int:
    found = np.frombuffer(b"".join(parts), ">i4").astype(np.int32)
    if found.size < FEW:
        return len(np.unique(found))
    # They are dense, so that this takes a byte for each there is and no sorting.
    there = np.zeros(found.max() + 1, np.bool_)
    there[found] = True
    return int(np.count_nonzero(there))


def added(
    measures: Sequence[Measure], width: int, answers: Iterable[tuple[Customer, Iterable[Sequence[Any]]]]
) -> dict[Any, Sums]:
    """The measures of each group by the first `width` columns of its rows, added up over communities.

    Numbers are as they go out, for minor units are each community's own. What is null in one counts as nothing.
    """
    given_by = summed(measures)
    found: dict[LabelValues, Sums] = {}
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


def _as_outside(measure: Measure, customer: Customer) -> Callable[[Any], Any]:
    """What makes of a number what can be added to those of other communities."""
    if measure.is_unique:
        return lambda value: Numbers({customer.community_id: (value,)})
    convert = converter(measure.kind, customer.minor_digits)
    assert convert is not None  # noqa: S101 - what is measured is a number
    return convert


def require_one_currency(query: Query, customers: Sequence[Customer]) -> None:
    """Raises InvalidParametersError where money of several currencies would be added up."""
    currencies = sorted({each.currency for each in customers})
    is_money = any(each.kind is Kind.MONEY for each in query.measures)
    if not is_money or len(currencies) == 1 or any(each.by_header for each in grouping(query)):
        return
    raise invalid(
        ("aggregate_by",),
        "several_currencies",
        f"The customers have different currencies ({', '.join(currencies)}), and money of several is not added up: "
        "ask for customers of one currency, or aggregate by community_id.",
        currencies=currencies,
    )


def _sum(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return EXACT.add(a, b) if isinstance(a, Decimal) else a + b


def measured(measures: Sequence[Measure], sums: Sequence[Any]) -> dict[str, Any]:
    """Every measure of a group by name, from those that were added up."""
    return {each.name: taken(each, measures)(sums) for each in measures}


def taken(measure: Measure, measures: Sequence[Measure]) -> Callable[[Sequence[Any]], Any]:
    """What gives one of the measures of a group, from those that were added up."""
    given_by = {each.name: (place, each) for place, each in enumerate(summed(measures))}
    if measure.sql:
        place, _ = given_by[measure.name]
        return (lambda sums: sums[place].different) if measure.is_unique else itemgetter(place)
    dividend, divisor = (taken(given_by[name][1], measures) for name in measure.quotient or ())
    return lambda sums: _quotient(measure, dividend(sums), divisor(sums))


def _quotient(measure: Measure, dividend: Any, divisor: Any) -> Decimal | None:
    """One number by another, half-even to the measure's decimals or the dividend's; null where one is null or the
    divisor 0.
    """
    if dividend is None or not divisor:
        return None
    exact = EXACT.divide(Decimal(dividend), Decimal(divisor))
    unit = Decimal(dividend) if measure.decimals is None else Decimal(1).scaleb(-measure.decimals)
    return exact.quantize(unit, ROUND_HALF_EVEN, EXACT)


def order(labels: Sequence[Label], values: Sequence[Any], nulls_last: bool = False) -> tuple[Any, ...]:
    """What groups are sorted by: enums as declared, texts by code point, numbers by value."""
    return tuple(_order(each, value, nulls_last) for each, value in zip(labels, values, strict=True))


def _order(label: Label, value: Any, nulls_last: bool) -> tuple[Any, ...]:
    if value is None:
        return (2 if nulls_last else 0,)
    if label.field.values and not label.is_status:
        return 1, rank(label.field, value), value
    return 1, value


def labelled(labels: Sequence[Label], values: Sequence[Any], minor_digits: int) -> dict[str, Any]:
    """A group's label as it goes out."""
    return {
        each.key: value if each.is_status else converted(value, _element(each.field.kind), minor_digits)
        for each, value in zip(labels, values, strict=True)
    }


def _element(kind: Kind) -> Kind:
    return Kind.STRING if kind in (Kind.INTEGERS, Kind.STRINGS, Kind.FLAGS) else kind
