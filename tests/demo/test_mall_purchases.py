from collections import Counter, defaultdict
from datetime import UTC, date, time, timedelta
from decimal import Decimal

import pytest

from regulars.demo.mall.opening_hours import OPENING_HOURS, easter
from regulars.demo.rows import ItemRecord, LocationRecord, ProductRecord, TransactionRecord


def test_the_total_is_the_sum_of_price_sell_times_quantity(receipts: list[TransactionRecord]) -> None:
    for row in receipts:
        assert row["total"] == sum(item["price_sell"] * item["quantity"] for item in row["items"])
        assert row["total"].as_tuple().exponent == -2


def test_discounts_are_the_difference_of_price_current_and_price_sell(receipts: list[TransactionRecord]) -> None:
    for row in receipts:
        for item in row["items"]:
            off = sum(discount["amount"] for discount in item["discounts"])
            assert off == (item["price_current"] - item["price_sell"]) * item["quantity"]
            assert off >= 0


def test_ids_and_receipt_numbers_are_unique(receipts: list[TransactionRecord]) -> None:
    assert len({row["external_id"] for row in receipts}) == len(receipts)
    assert len({row["receipt_ref"] for row in receipts}) == len(receipts)


def test_items_are_of_the_catalogue_at_the_price_of_the_country(
    receipts: list[TransactionRecord], products: list[ProductRecord]
) -> None:
    catalogue = {
        variant["sku"]: (variant["name"], product["brand"], variant["price"])
        for product in products
        for variant in product["variants"]
    }
    for row in receipts:
        for item in row["items"]:
            name, brand, price = catalogue[item["sku"]]
            assert (item["name"], item["brand"]) == (name, brand)
            if row["currency"] == "NOK" and row["type"] == "sale" and "exchange" not in row["tags"]:
                assert item["price_current"] == price


def test_baskets_have_several_lines_and_pieces(receipts: list[TransactionRecord]) -> None:
    lines = [len(row["items"]) for row in receipts if row["type"] == "sale"]
    assert 1.7 < sum(lines) / len(lines) < 2.3
    assert max(lines) == 8
    assert any(item["quantity"] > 1 for row in receipts for item in row["items"])


def test_five_currencies_are_used_each_with_its_rate_into_kroner(receipts: list[TransactionRecord]) -> None:
    rates: dict[str, set[Decimal]] = defaultdict(set)
    for row in receipts:
        rates[row["currency"]].add(row["currency_rate"])
    assert set(rates) == {"NOK", "SEK", "DKK", "EUR", "PLN"}
    assert rates["NOK"] == {Decimal(1)}
    assert all(Decimal("11.1") < rate < Decimal("12.2") for rate in rates["EUR"])
    assert len(rates["EUR"]) > 20


def test_currency_and_zone_are_those_of_the_location(
    receipts: list[TransactionRecord], locations: dict[str, LocationRecord]
) -> None:
    money = {"NO": "NOK", "SE": "SEK", "DK": "DKK", "FI": "EUR", "PL": "PLN"}
    for row in receipts:
        location = locations[row["location"]]
        assert row["currency"] == money[location["address"]["iso"]]
        assert row["timezone"] == location["timezone"] == str(row["transacted_at"].tzinfo)
        assert row["systems"] == (["web"] if location["type"] == "online" else ["pos"])


def test_some_receipts_are_void_and_some_anonymous(receipts: list[TransactionRecord]) -> None:
    voided = sum(row["is_void"] for row in receipts)
    anonymous = sum(row["profile"] is None for row in receipts)
    assert 0.001 < voided / len(receipts) < 0.006
    assert 0.06 < anonymous / len(receipts) < 0.11


def test_no_local_time_is_skipped_or_ambiguous(receipts: list[TransactionRecord]) -> None:
    for row in receipts:
        at = row["transacted_at"]
        assert at.astimezone(UTC).astimezone(at.tzinfo).replace(tzinfo=None) == at.replace(tzinfo=None)
        assert at.utcoffset() == at.replace(fold=1).utcoffset()


def test_stores_sell_only_while_they_are_open(
    receipts: list[TransactionRecord], locations: dict[str, LocationRecord]
) -> None:
    days = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
    hours = {
        (place, day["day"]): (time.fromisoformat(day["open"]), time.fromisoformat(day["close"]))
        for place, location in locations.items()
        for day in location["normal_hours"]
    }
    for row in receipts:
        if row["systems"] == ["pos"]:
            at = row["transacted_at"]
            opens, closes = hours[row["location"], days[at.weekday()]]
            assert opens <= at.time() < closes


def test_stores_are_closed_on_holidays_and_close_early_before_christmas(
    receipts: list[TransactionRecord], locations: dict[str, LocationRecord]
) -> None:
    for row in receipts:
        iso = locations[row["location"]]["address"]["iso"]
        at = row["transacted_at"]
        if row["systems"] == ["pos"]:
            assert (at.month, at.day) != (12, 25)
            assert iso != "NO" or ((at.month, at.day) != (5, 17) and at.weekday() != 6)
            assert (at.month, at.day) != (12, 24) or at.hour < 14


@pytest.mark.parametrize(
    ("country", "day"),
    [
        ("NO", date(2026, 4, 3)),  # Good Friday
        ("NO", date(2026, 5, 14)),  # Ascension
        ("SE", date(2026, 6, 19)),  # midsummer's eve
        ("FI", date(2026, 6, 20)),  # midsummer
        ("DK", date(2026, 6, 5)),  # Constitution Day
        ("PL", date(2026, 6, 4)),  # Corpus Christi
        ("PL", date(2026, 6, 7)),  # a Sunday
    ],
)
def test_a_country_observes_its_holidays(country: str, day: date) -> None:
    assert OPENING_HOURS[country].hours_on(day) is None


def test_an_ordinary_day_and_new_years_eve_have_their_hours() -> None:
    assert OPENING_HOURS["NO"].hours_on(date(2026, 6, 9)) == (600, 1260)
    assert OPENING_HOURS["NO"].hours_on(date(2025, 12, 31)) == (600, 960)
    assert OPENING_HOURS["SE"].hours_on(date(2026, 6, 26)) == (600, 1200)


@pytest.mark.parametrize("day", [date(2019, 4, 21), date(2024, 3, 31), date(1981, 4, 19), date(2038, 4, 25)])
def test_easter_is_on_the_right_date(day: date) -> None:
    assert easter(day.year) == day


def test_black_friday_is_the_busiest_day_and_december_the_busiest_month(receipts: list[TransactionRecord]) -> None:
    in_2025 = [row["transacted_at"] for row in receipts if row["transacted_at"].year == 2025]
    by_day = Counter(at.date() for at in in_2025)
    by_month = Counter(at.month for at in in_2025)
    assert by_day.most_common(1)[0][0] == date(2025, 11, 28)
    assert by_month.most_common(1)[0][0] == 12
    assert by_month[2] == min(by_month.values())


def test_saturday_is_the_busiest_day_in_stores_and_evenings_are_online(receipts: list[TransactionRecord]) -> None:
    days = Counter(row["transacted_at"].weekday() for row in receipts if row["systems"] == ["pos"])
    assert days.most_common(1)[0][0] == 5
    hours = [row["transacted_at"].hour for row in receipts if row["systems"] == ["web"]]
    assert 0.3 < sum(hour >= 19 for hour in hours) / len(hours) < 0.5


def test_the_january_sale_reduces_half_of_what_is_sold_in_it(receipts: list[TransactionRecord]) -> None:
    def reduced(month: int, first: int, last: int) -> float:
        lines = [
            item
            for row in receipts
            if row["transacted_at"].month == month and first <= row["transacted_at"].day <= last
            for item in row["items"]
            if row["type"] == "sale" and item["sku"].startswith(("FAS", "SHO", "HOM"))
        ]
        return sum(bool(item["discounts"]) for item in lines) / len(lines)

    assert 0.4 < reduced(1, 2, 25) < 0.7
    assert reduced(3, 1, 31) < 0.2


def test_sale_prices_are_the_same_for_all_buyers(receipts: list[TransactionRecord]) -> None:
    prices: dict[str, set[Decimal]] = defaultdict(set)
    for row in receipts:
        if row["transacted_at"].date() == date(2025, 11, 28) and row["currency"] == "NOK" and not row["tags"]:
            for item in row["items"]:
                if row["type"] == "sale" and item["sku"][:3] not in ("GRO", "CAF", "HEA", "BOO"):
                    prices[item["sku"]].add(item["price_sell"])
    assert len(prices) > 30
    assert all(len(paid) == 1 for paid in prices.values())


def test_a_return_refers_to_an_earlier_sale_of_the_same_buyer_at_the_same_place(
    receipts: list[TransactionRecord],
) -> None:
    sales = {row["receipt_ref"]: row for row in receipts if row["type"] == "sale"}
    returns = [row for row in receipts if row["type"] == "return"]
    assert 0.04 < len(returns) / len(receipts) < 0.08
    for row in returns:
        sale = sales[row["linked_receipt_ref"] or ""]
        days = (row["transacted_at"].date() - sale["transacted_at"].date()).days
        assert 1 <= days <= 35
        assert row["profile"] == sale["profile"]
        assert row["location"] == sale["location"]
        assert not sale["is_void"]


def test_a_return_never_exceeds_its_sale(receipts: list[TransactionRecord]) -> None:
    sales = {row["receipt_ref"]: row for row in receipts}
    linked = [row for row in receipts if row["linked_receipt_ref"] is not None]
    assert len({row["linked_receipt_ref"] for row in linked}) == len(linked)
    for row in linked:
        sale = sales[row["linked_receipt_ref"] or ""]
        bought = {item["sku"]: item for item in sale["items"]}
        assert 0 < -row["total"] <= sale["total"]
        for item in row["items"]:
            assert 0 < -item["quantity"] <= bought[item["sku"]]["quantity"]
            assert item["price_sell"] == bought[item["sku"]]["price_sell"]


def test_only_returns_are_negative(receipts: list[TransactionRecord]) -> None:
    for row in receipts:
        assert (row["total"] < 0) == (row["type"] == "return")
        assert (row["linked_receipt_ref"] is None) == (row["type"] == "sale")


def test_an_exchange_is_a_return_and_minutes_later_a_sale_of_the_same_value(
    receipts: list[TransactionRecord],
) -> None:
    def product(item: ItemRecord) -> str:
        return item["sku"].rsplit("-", 1)[0]

    exchanged = [row for row in receipts if row["tags"] == ["exchange"]]
    assert len(exchanged) > 200
    for back, instead in zip(exchanged[::2], exchanged[1::2], strict=True):
        assert (back["type"], instead["type"]) == ("return", "sale")
        assert back["total"] + instead["total"] == 0
        assert timedelta(0) < instead["transacted_at"] - back["transacted_at"] < timedelta(minutes=5)
        assert [product(item) for item in back["items"]] == [product(item) for item in instead["items"]]
        assert {item["sku"] for item in back["items"]}.isdisjoint(item["sku"] for item in instead["items"])
