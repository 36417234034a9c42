"""What the shops offer, and what members do with it."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta

import pytest

from regulars.demo.mall import mall
from regulars.demo.rows import (
    LocationRecord,
    MembershipRecord,
    OfferEventRecord,
    OfferRecord,
    ProfileRecord,
    TransactionRecord,
)


def of_offer(events: list[OfferEventRecord]) -> dict[str, list[OfferEventRecord]]:
    """Events by offer, as they are generated."""
    by_offer: dict[str, list[OfferEventRecord]] = defaultdict(list)
    for row in events:
        by_offer[row["offer"]].append(row)
    return by_offer


@pytest.mark.slow
def test_the_same_seed_and_moment_give_the_same_offers(
    as_of: datetime,
) -> None:
    events, rows = list(mall.offer_events("tiny", as_of=as_of)), list(mall.offers("tiny", as_of=as_of))
    assert list(mall.offer_events("tiny", as_of=as_of, seed=2)) != events
    mall.clear_cache()
    assert list(mall.offer_events("tiny", as_of=as_of)) == events
    assert list(mall.offers("tiny", as_of=as_of)) == rows
    assert list(mall.offer_collections()) == list(mall.offer_collections())


def test_offers_are_of_stores_in_all_malls_and_in_collections(
    offers: dict[str, OfferRecord], locations: dict[str, LocationRecord]
) -> None:
    assert 500 < len(offers) < 1_000
    assert {locations[row["location"]]["type"] for row in offers.values()} == {"store"}
    assert len({locations[row["location"]]["address"]["city"] for row in offers.values()}) == 8
    assert len({row["location"] for row in offers.values()}) == 97
    known = {row["external_id"]: row["name"] for row in mall.offer_collections()}
    assert known["member-week"] == "Member week"
    assert {name for row in offers.values() for name in row["collections"]} == set(known)


def test_an_offer_is_created_before_its_period_and_has_the_matching_status(
    as_of: datetime, offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord]
) -> None:
    uses = Counter(row["offer"] for row in offer_events if row["event"] == "used")
    for row in offers.values():
        assert row["created_at"] < as_of
        assert row["created_at"] < row["usable_since"] < row["usable_until"]
        if row["stock"] is not None and uses[row["external_id"]] >= row["stock"]:
            assert row["status"] == "sold_out"
        elif as_of < row["usable_since"]:
            assert row["status"] == "planned"
        else:
            assert row["status"] == ("active" if as_of < row["usable_until"] else "ended")
    statuses = Counter(row["status"] for row in offers.values())
    assert statuses["ended"] > statuses["active"] > 20
    assert statuses["planned"] > 20
    assert statuses["sold_out"] >= 1


def test_events_are_within_the_period_of_their_offer_and_in_order(
    as_of: datetime, offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord]
) -> None:
    assert 15_000 < len(offer_events) < 40_000
    assert len({row["external_id"] for row in offer_events}) == len(offer_events)
    for offer, events in of_offer(offer_events).items():
        times = [row["at"] for row in events]
        assert times == sorted(times)
        assert offers[offer]["usable_since"] <= times[0]
        assert times[-1] < offers[offer]["usable_until"]
        assert times[-1] < as_of


def test_an_offer_is_seen_before_a_click_and_granted_before_its_use(offer_events: list[OfferEventRecord]) -> None:
    for events in of_offer(offer_events).values():
        seen, granted = set(), set()
        for row in events:
            if row["event"] == "granted":
                granted.add(row["profile"])
            elif row["event"] == "seen":
                seen.add(row["profile"])
            elif row["event"] == "clicked":
                assert row["profile"] in seen
            else:
                assert row["profile"] in granted


def test_a_personal_offer_is_seen_only_by_members_that_it_was_granted_to(
    offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord]
) -> None:
    for offer, events in of_offer(offer_events).items():
        if "for-you" in offers[offer]["collections"]:
            granted = [row["profile"] for row in events if row["event"] == "granted"]
            assert {row["profile"] for row in events} == set(granted)
            assert len(set(granted)) == len(granted)
            first = timedelta(seconds=10)
            at_first = [row for row in events if row["at"] < offers[offer]["usable_since"] + first]
            assert [row["event"] for row in at_first] == ["granted"] * len(granted)


def test_an_offer_is_used_on_a_receipt_of_the_member_in_that_shop(
    offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord], receipts: list[TransactionRecord]
) -> None:
    by_id = {row["external_id"]: row for row in receipts}
    used = [row for row in offer_events if row["event"] == "used"]
    assert len(used) > 300
    for row in used:
        receipt = by_id[row["transaction"] or ""]
        assert receipt["profile"] == row["profile"]
        assert receipt["location"] == row["location"] == offers[row["offer"]]["location"]
        assert receipt["transacted_at"] == row["at"]
        assert receipt["type"] == "sale"
        assert not receipt["is_void"]
    assert len({(row["offer"], row["profile"]) for row in used}) == len(used)
    others = [row for row in offer_events if row["event"] != "used"]
    assert all(row["transaction"] is None and row["location"] is None for row in others)


def test_offers_are_not_used_beyond_their_stock(
    offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord]
) -> None:
    counts = Counter((row["offer"], row["event"]) for row in offer_events)
    for (offer, event), count in counts.items():
        stock = offers[offer]["stock"]
        if stock is not None and event == "used":
            assert count <= stock
        if stock is not None and event == "granted" and "for-you" in offers[offer]["collections"]:
            assert count <= stock


def test_personal_offers_are_granted_to_current_members_who_accept_them(
    profiles: dict[str, ProfileRecord],
    memberships: list[MembershipRecord],
    offers: dict[str, OfferRecord],
    offer_events: list[OfferEventRecord],
) -> None:
    out = {row["profile"]: row["at"] for row in memberships if row["type"] == "out"}
    back = {row["profile"]: row["at"] for row in memberships if row["external_id"].endswith("-3")}
    personal = {key for key, row in offers.items() if "for-you" in row["collections"]}
    granted = [row for row in offer_events if row["event"] == "granted" and row["offer"] in personal]
    assert len(granted) > 1_500
    for row in granted:
        member = row["profile"] or ""
        assert profiles[member]["consents"]["personal_offers"]
        assert profiles[member]["joined_at"] <= row["at"]
        assert member not in out or row["at"] < out[member] or (member in back and back[member] <= row["at"])


def test_a_few_percent_of_viewers_use_an_offer(offer_events: list[OfferEventRecord]) -> None:
    counts = Counter(row["event"] for row in offer_events)
    assert 0.08 < counts["clicked"] / counts["seen"] < 0.25
    assert 0.01 < counts["used"] / counts["seen"] < 0.06
    anonymous = [row for row in offer_events if row["profile"] is None]
    assert {row["event"] for row in anonymous} == {"seen", "clicked"}
    assert 0.05 < len(anonymous) / len(offer_events) < 0.15


def test_offers_are_seen_in_their_first_days(
    offers: dict[str, OfferRecord], offer_events: list[OfferEventRecord]
) -> None:
    seen = [row for row in offer_events if row["event"] == "seen"]
    early = sum(row["at"] - offers[row["offer"]]["usable_since"] < timedelta(days=3) for row in seen)
    assert 0.5 < early / len(seen) < 0.85
