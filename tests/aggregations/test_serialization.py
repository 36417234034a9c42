"""How each kind of value goes out, to the byte."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest

from regulars.aggregations import serialization
from regulars.core.field_type import FieldType
from regulars.web.bodies import encode

PROFILE = UUID("0d4cc3d5-3256-35a5-f63a-40536d56cfea")
AS_OF = datetime(2026, 11, 22, 16, 43, 37, 999_999, tzinfo=UTC)
PLACES = {7: msgspec.Raw(b'{"id": 7}')}


def row(**values: Any) -> dict[str, Any]:
    """A stored row: null where no value is passed."""
    return (
        dict.fromkeys(each.name for each in serialization.ALL_AGGREGATIONS if each.type.column_type)
        | {"profile_id": PROFILE}
        | values
    )


def sent(name: str, value: Any, digits: int = 2) -> str:
    """A value as it goes out."""
    shown = serialization.serialize(
        row(**{name: value}), AS_OF, digits, PLACES, serialization.aggregations_by_name([name])
    )
    return encode(shown).decode().removeprefix(f'{{"{name}":').removesuffix("}")


@pytest.mark.parametrize(
    ("units", "digits", "text"),
    [
        (0, 2, "0.00"),
        (0, 3, "0.000"),
        (0, 4, "0.0000"),
        (5, 2, "0.05"),
        (-5, 2, "-0.05"),
        (50, 2, "0.50"),
        (100, 2, "1.00"),
        (-12345, 2, "-123.45"),
        (12345, 3, "12.345"),
        (-12345, 4, "-1.2345"),
        (9, 4, "0.0009"),
        (2**63 - 1, 2, "92233720368547758.07"),
        (-(2**63), 4, "-922337203685477.5808"),
        (None, 2, "null"),
    ],
)
def test_money_is_a_number_with_all_decimals_of_its_currency(units: int | None, digits: int, text: str) -> None:
    assert sent("spend_all", units, digits) == text


@pytest.mark.parametrize(
    ("hundredths", "text"),
    [
        (Decimal(0), "0.00"),
        (Decimal("1234"), "12.34"),
        (Decimal("-1"), "-0.01"),
        # As the driver gives 16000000.
        (Decimal("16E+6"), "160000.00"),
        (Decimal(10**30 + 1), "10000000000000000000000000000.01"),
    ],
)
def test_a_percentage_has_two_decimals_in_any_currency(hundredths: Decimal, text: str) -> None:
    assert sent("discount_avg", hundredths, digits=4) == text


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (datetime(2026, 7, 30, 20, 58, 25, 999_999, tzinfo=UTC), '"2026-07-30 20:58:25"'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02 03:04:05"'),
        (datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1))), '"2025-12-31 23:30:00"'),
        (datetime(900, 1, 1, tzinfo=UTC), '"0900-01-01 00:00:00"'),
    ],
)
def test_a_timestamp_is_in_utc_and_truncated_to_seconds(at: datetime, text: str) -> None:
    assert sent("spend_first_date", at) == text


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("shop_count", 0, "0"),
        ("latest_shop_days", -3, "-3"),
        ("channel", "CF", '"CF"'),
        ("likely_region", 'Trøndelag "\n', '"Trøndelag \\"\\n"'),
        ("likely_country", "SE", '"SE"'),
        ("likely_country_iso", "SE", '"SWE"'),
        ("first_shop_date", date(2024, 10, 31), '"2024-10-31"'),
        ("store_join", 7, '{"id": 7}'),
        ("transacted_locations", [7, 8], "[7,8]"),
        ("purchased_brands", [], "[]"),
    ],
)
def test_other_values_are_serialized_in_the_format_of_the_api(name: str, value: Any, text: str) -> None:
    assert sent(name, value) == text


@pytest.mark.parametrize("name", [each.name for each in serialization.ALL_AGGREGATIONS if each.type.column_type])
def test_unknown_values_are_null(name: str) -> None:
    assert sent(name, None) == "null"


def test_all_values_are_serialized_in_order() -> None:
    every = encode(serialization.serialize(row(), AS_OF, 2, PLACES)).decode()
    known = {"profile_id": f'"{PROFILE}"', "calculated_at": '"2026-11-22 16:43:37"'}
    assert (
        every
        == "{"
        + ",".join(f'"{each.name}":{known.get(each.name, "null")}' for each in serialization.ALL_AGGREGATIONS)
        + "}"
    )


@pytest.mark.parametrize("names", [[], ["total_referred"], ["spend_all"], ["calculated_at"], ["spend_all", "channel"]])
def test_only_selected_values_are_serialized(names: list[str]) -> None:
    shown = serialization.serialize(
        row(spend_all=100, channel="CF"), AS_OF, 2, PLACES, serialization.aggregations_by_name(names)
    )
    known = {"spend_all": Decimal("1.00"), "channel": "CF", "calculated_at": "2026-11-22 16:43:37"}
    assert shown == {name: known.get(name) for name in shown}
    assert sorted(shown) == sorted(names)


def test_location_ids_of_rows_are_distinct() -> None:
    places = [each.name for each in serialization.ALL_AGGREGATIONS if each.type is FieldType.LOCATION]
    assert serialization.location_ids([row()]) == set()
    assert serialization.location_ids([row(**dict.fromkeys(places, 7)), row(store_join=8)]) == {7, 8}
    assert serialization.location_ids([row(**{name: place for place, name in enumerate(places)})]) == set(
        range(len(places))
    )


def test_ever_different_selections_of_values_do_not_fill_the_memory() -> None:
    names = [each.name for each in serialization.ALL_AGGREGATIONS]
    for number in range(1_100):
        selected = [name for place, name in enumerate(names[:11]) if number >> place & 1]
        serialization.serialize(row(), AS_OF, 2, PLACES, serialization.aggregations_by_name(selected))
    assert serialization._plan.cache_info().currsize == 1_000
