"""The small club, generated once for all tests of it."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest

from regulars.demo import mall
from regulars.demo.rows import (
    LinkVisit,
    Location,
    Membership,
    Offer,
    OfferEvent,
    Product,
    Profile,
    Sending,
    SendingEvent,
    Transaction,
)


@pytest.fixture(scope="session")
def as_of() -> datetime:
    """The moment at which the history of the club ends."""
    return datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def receipts(as_of: datetime) -> list[Transaction]:
    """Every receipt of the club."""
    return list(mall.transactions(as_of=as_of))


@pytest.fixture(scope="session")
def profiles(as_of: datetime) -> dict[str, Profile]:
    """Every member, by external id."""
    return {row["external_id"]: row for row in mall.profiles(as_of=as_of)}


@pytest.fixture(scope="session")
def memberships(as_of: datetime) -> list[Membership]:
    """Every joining and leaving."""
    return list(mall.memberships(as_of=as_of))


@pytest.fixture(scope="session")
def locations() -> dict[str, Location]:
    """Every place, by external id."""
    return {row["external_id"]: row for row in mall.locations()}


@pytest.fixture(scope="session")
def products() -> list[Product]:
    """The catalogue."""
    return list(mall.products())


@pytest.fixture(scope="session")
def sales_of(receipts: list[Transaction]) -> dict[str, list[Transaction]]:
    """The counted sales of each member who has any, in the order of time."""
    sales: dict[str, list[Transaction]] = defaultdict(list)
    for row in sorted(receipts, key=lambda row: row["transacted_at"]):
        if row["profile"] is not None and row["total"] > 0 and not row["is_void"]:
            sales[row["profile"]].append(row)
    return sales


@pytest.fixture(scope="session")
def sendings(as_of: datetime) -> dict[str, Sending]:
    """Every sending, by external id."""
    return {row["external_id"]: row for row in mall.sendings(as_of=as_of)}


@pytest.fixture(scope="session")
def sending_events(as_of: datetime) -> list[SendingEvent]:
    """Everything that happened to dispatches."""
    return list(mall.sending_events(as_of=as_of))


@pytest.fixture(scope="session")
def dispatches(sending_events: list[SendingEvent]) -> dict[str, list[SendingEvent]]:
    """The events of each dispatch, as they are generated."""
    found: dict[str, list[SendingEvent]] = defaultdict(list)
    for row in sending_events:
        found[row["dispatch"]].append(row)
    return found


@pytest.fixture(scope="session")
def link_visits(as_of: datetime) -> list[LinkVisit]:
    """Every visit of a page."""
    return list(mall.link_visits(as_of=as_of))


@pytest.fixture(scope="session")
def offers(as_of: datetime) -> dict[str, Offer]:
    """Every offer, by external id."""
    return {row["external_id"]: row for row in mall.offers(as_of=as_of)}


@pytest.fixture(scope="session")
def offer_events(as_of: datetime) -> list[OfferEvent]:
    """Everything that happened to offers."""
    return list(mall.offer_events(as_of=as_of))
