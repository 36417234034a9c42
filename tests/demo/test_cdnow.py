from collections import Counter
from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import pytest

from regulars.demo import cdnow

CENT = Decimal("0.01")


@pytest.fixture(scope="module")
def purchases() -> list[cdnow.CdnowPurchase]:
    return list(cdnow.transactions())


@pytest.fixture(scope="module")
def customers() -> list[cdnow.CdnowCustomer]:
    return list(cdnow.profiles())


def test_the_club_is_american_and_counts_in_dollars() -> None:
    assert cdnow.community() == {
        "slug": "cdnow",
        "name": "CDNOW",
        "country": "US",
        "timezone": "America/New_York",
        "currency": "USD",
        "attributes": {"chain": "CDNOW", "country": "US"},
    }


def test_there_are_as_many_purchases_and_customers_as_were_published(
    purchases: list[cdnow.CdnowPurchase], customers: list[cdnow.CdnowCustomer]
) -> None:
    assert len(purchases) == 69_659
    assert len(customers) == 23_570


def test_dollars_and_discs_add_up_to_what_was_published(purchases: list[cdnow.CdnowPurchase]) -> None:
    assert sum(row["total"] for row in purchases) == Decimal("2500315.63")
    assert sum(item["quantity"] for row in purchases for item in row["items"]) == 167_881


def test_the_purchases_span_a_year_and_a_half(purchases: list[cdnow.CdnowPurchase]) -> None:
    days = [row["transacted_at"] for row in purchases]
    assert (min(days), max(days)) == (date(1997, 1, 1), date(1998, 6, 30))


def test_a_purchase_is_a_transaction_with_one_item(purchases: list[cdnow.CdnowPurchase]) -> None:
    assert purchases[2] == {
        "external_id": "00002-2",
        "profile": "00002",
        "transacted_at": date(1997, 1, 12),
        "timezone": "America/New_York",
        "total": Decimal("77.00"),
        "currency": "USD",
        "systems": ["web"],
        "items": [
            {
                "name": "CDs",
                "quantity": 5,
                "price_sell": Decimal("15.4000"),
                "price_current": Decimal("15.4000"),
            }
        ],
    }


def test_ids_are_unique_and_run_within_each_customer(
    purchases: list[cdnow.CdnowPurchase], customers: list[cdnow.CdnowCustomer]
) -> None:
    assert len({row["external_id"] for row in purchases}) == len(purchases)
    counts = Counter(row["profile"] for row in purchases)
    last = {row["profile"]: row["external_id"] for row in purchases}
    assert last == {customer: f"{customer}-{count}" for customer, count in counts.items()}
    assert set(counts) == {row["external_id"] for row in customers}
    assert max(counts.values()) == 217


def test_price_times_quantity_rounded_to_the_cent_is_the_total(purchases: list[cdnow.CdnowPurchase]) -> None:
    for row in purchases:
        (item,) = row["items"]
        assert (item["price_sell"] * item["quantity"]).quantize(CENT, ROUND_HALF_UP) == row["total"]


def test_some_purchases_cost_nothing(purchases: list[cdnow.CdnowPurchase]) -> None:
    free = [row for row in purchases if row["total"] == 0]
    assert len(free) == 80
    assert all(row["items"][0]["quantity"] > 0 for row in free)


def test_a_customer_joined_on_the_day_of_its_first_purchase(
    purchases: list[cdnow.CdnowPurchase], customers: list[cdnow.CdnowCustomer]
) -> None:
    first: dict[str, date] = {}
    for row in purchases:
        first[row["profile"]] = min(row["transacted_at"], first.get(row["profile"], date.max))
    assert {row["external_id"]: row["joined_at"] for row in customers} == first
    assert customers[0] == {"external_id": "00001", "joined_at": date(1997, 1, 1), "currency": "USD"}


def test_all_customers_joined_in_the_first_quarter_of_1997(customers: list[cdnow.CdnowCustomer]) -> None:
    assert max(row["joined_at"] for row in customers) <= date(1997, 3, 31)
