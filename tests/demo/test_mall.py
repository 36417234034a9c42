import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from regulars.demo.mall import mall
from regulars.demo.rows import LocationRecord, MembershipRecord, ProductRecord, ProfileRecord, TransactionRecord


def as_bytes(rows: list[TransactionRecord] | list[ProfileRecord] | list[MembershipRecord]) -> bytes:
    return json.dumps(rows, default=str).encode()


def test_the_same_seed_and_moment_give_the_same_bytes(as_of: datetime) -> None:
    receipts, profiles = list(mall.transactions("tiny", as_of=as_of)), list(mall.profiles("tiny", as_of=as_of))
    assert as_bytes(list(mall.transactions("tiny", as_of=as_of))) == as_bytes(receipts)
    assert as_bytes(list(mall.profiles("tiny", as_of=as_of))) == as_bytes(profiles)
    assert list(mall.products()) == list(mall.products())


def test_another_seed_gives_other_members(as_of: datetime, profiles: dict[str, ProfileRecord]) -> None:
    others = list(mall.profiles(as_of=as_of, seed=2))
    same = [row for row in others if row["last_name"] == profiles[row["external_id"]]["last_name"]]
    assert len(same) < 200


def test_the_zone_in_which_as_of_is_written_changes_nothing(as_of: datetime) -> None:
    in_oslo = as_of.astimezone(ZoneInfo("Europe/Oslo"))
    assert as_bytes(list(islice(mall.transactions(as_of=in_oslo), 500))) == as_bytes(
        list(islice(mall.transactions(as_of=as_of), 500))
    )
    assert as_bytes(list(islice(mall.profiles(as_of=in_oslo), 50))) == as_bytes(
        list(islice(mall.profiles(as_of=as_of), 50))
    )


@pytest.mark.parametrize("rows", [mall.transactions, mall.sendings, mall.sending_events, mall.offer_events])
def test_as_of_without_a_time_zone_is_rejected(rows: Callable[..., Iterator[object]]) -> None:
    with pytest.raises(ValueError, match="as_of has no time zone"):
        next(rows(as_of=datetime(2026, 7, 1)))  # noqa: DTZ001


def test_the_small_club_has_2000_members_and_about_25000_receipts(
    receipts: list[TransactionRecord], profiles: dict[str, ProfileRecord]
) -> None:
    assert len(profiles) == 2_000
    assert 24_000 < len(receipts) < 26_000


def test_the_large_club_is_generated_lazily(as_of: datetime) -> None:
    assert len(list(islice(mall.transactions("large", as_of=as_of), 100))) == 100
    assert next(mall.profiles("large", as_of=as_of))["external_id"] == "M000001"


@pytest.mark.parametrize(
    "as_of",
    [
        datetime(2024, 2, 29, 23, 30, tzinfo=UTC),
        datetime(2025, 1, 1, tzinfo=UTC),
        datetime(2026, 11, 29, 3, tzinfo=UTC),
    ],
)
def test_nothing_happens_at_or_after_as_of(as_of: datetime) -> None:
    assert all(row["transacted_at"] < as_of for row in mall.transactions("tiny", as_of=as_of))
    assert all(row["at"] < as_of for row in mall.memberships("tiny", as_of=as_of))
    assert all(row["created_at"] < as_of for row in mall.sendings("tiny", as_of=as_of))
    assert all(row["at"] < as_of for row in mall.sending_events("tiny", as_of=as_of))
    assert all(row["created_at"] < as_of for row in mall.offers("tiny", as_of=as_of))
    assert all(row["at"] < as_of for row in mall.offer_events("tiny", as_of=as_of))


def test_the_history_is_three_years_up_to_now(as_of: datetime, receipts: list[TransactionRecord]) -> None:
    times = [row["transacted_at"] for row in receipts]
    assert as_of - timedelta(days=1097) < min(times) < as_of - timedelta(days=1080)
    assert as_of - timedelta(days=1) < max(times) < as_of


def test_the_club_is_norwegian() -> None:
    assert mall.community() == {
        "slug": "lyngtorget",
        "name": "Lyngtorget Club",
        "country": "NO",
        "timezone": "Europe/Oslo",
        "currency": "NOK",
        "attributes": {"chain": "Lyngtorget", "country": "NO"},
    }


def test_there_are_stores_of_eight_malls_and_an_online_shop_a_country(locations: dict[str, LocationRecord]) -> None:
    stores = [row for row in locations.values() if row["type"] == "store"]
    online = [row for row in locations.values() if row["type"] == "online"]
    assert len(stores) == 97
    assert Counter(row["address"]["city"] for row in stores)["Umeå"] == 9
    assert len({row["address"]["city"] for row in stores}) == 8
    assert [row["address"]["iso"] for row in online] == ["NO", "SE", "DK", "FI", "PL"]
    assert len({row["external_code"] for row in locations.values()}) == len(locations)
    assert all(ZoneInfo(row["timezone"]) for row in locations.values())


def test_a_store_has_an_address_and_opening_hours(locations: dict[str, LocationRecord]) -> None:
    store = locations["FI701"]
    assert store["name"] == "Nordtråden Tampere"
    assert store["address"] == {
        "address_line_1": "Kanervatori 3",
        "city": "Tampere",
        "postcode": "33100",
        "state": "Pirkanmaa",
        "iso_state": "FI-11",
        "country": "Finland",
        "iso": "FI",
    }
    assert store["timezone"] == "Europe/Helsinki"
    assert store["normal_hours"][-1] == {"day": "sunday", "open": "12:00", "close": "18:00"}


def test_phone_numbers_of_stores_and_members_are_disjoint(
    locations: dict[str, LocationRecord], profiles: dict[str, ProfileRecord]
) -> None:
    phones = {row["phone"] for row in locations.values()}
    assert len(phones) == len(locations)
    assert phones.isdisjoint(row["mobile_phone"] or "" for row in profiles.values())


def test_products_have_brands_and_variants_with_unique_skus(products: list[ProductRecord]) -> None:
    skus = [variant["sku"] for product in products for variant in product["variants"]]
    assert len(products) == 373
    assert len(set(skus)) == len(skus) == 1_251
    assert len({product["brand"] for product in products}) > 50


def test_prices_depend_on_the_kind_of_goods(products: list[ProductRecord]) -> None:
    def median(code: str) -> Decimal:
        prices = sorted(row["variants"][0]["price"] for row in products if row["external_id"].startswith(code))
        return prices[len(prices) // 2]

    assert median("GRO") < 70 < median("BEA") < 300 < median("SHO") < 1_200 < median("ELE") < 2_000
