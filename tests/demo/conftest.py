"""The small club, generated once for all tests of it."""

from collections import defaultdict
from datetime import UTC, datetime

import pytest

from regulars.demo.mall import mall
from regulars.demo.rows import (
    LinkVisitRecord,
    LocationRecord,
    MembershipRecord,
    OfferEventRecord,
    OfferRecord,
    ProductRecord,
    ProfileRecord,
    SendingEventRecord,
    SendingRecord,
    TransactionRecord,
)


@pytest.fixture(scope="session")
def as_of() -> datetime:
    """The moment at which the history of the club ends."""
    return datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def receipts(as_of: datetime) -> list[TransactionRecord]:
    """Every receipt of the club."""
    return list(mall.transactions(as_of=as_of))


@pytest.fixture(scope="session")
def profiles(as_of: datetime) -> dict[str, ProfileRecord]:
    """Every member, by external id."""
    return {row["external_id"]: row for row in mall.profiles(as_of=as_of)}


@pytest.fixture(scope="session")
def memberships(as_of: datetime) -> list[MembershipRecord]:
    """Every joining and leaving."""
    return list(mall.memberships(as_of=as_of))


@pytest.fixture(scope="session")
def locations() -> dict[str, LocationRecord]:
    """Every place, by external id."""
    return {row["external_id"]: row for row in mall.locations()}


@pytest.fixture(scope="session")
def products() -> list[ProductRecord]:
    """The catalogue."""
    return list(mall.products())


@pytest.fixture(scope="session")
def sales_of(receipts: list[TransactionRecord]) -> dict[str, list[TransactionRecord]]:
    """The counted sales of each member who has any, in the order of time."""
    sales: dict[str, list[TransactionRecord]] = defaultdict(list)
    for row in sorted(receipts, key=lambda row: row["transacted_at"]):
        if row["profile"] is not None and row["total"] > 0 and not row["is_void"]:
            sales[row["profile"]].append(row)
    return sales


@pytest.fixture(scope="session")
def sendings(as_of: datetime) -> dict[str, SendingRecord]:
    """Every sending, by external id."""
    return {row["external_id"]: row for row in mall.sendings(as_of=as_of)}


Activity = tuple[list[SendingEventRecord], list[LinkVisitRecord], list[OfferRecord], list[OfferEventRecord]]


@pytest.fixture(scope="session")
def recent_activity(as_of: datetime) -> Activity:
    """All that follows from recent activity, read together: what it follows from is held for one club only."""
    return (
        list(mall.sending_events(as_of=as_of)),
        list(mall.link_visits(as_of=as_of)),
        list(mall.offers(as_of=as_of)),
        list(mall.offer_events(as_of=as_of)),
    )


@pytest.fixture(scope="session")
def sending_events(recent_activity: Activity) -> list[SendingEventRecord]:
    """Everything that happened to dispatches."""
    return recent_activity[0]


@pytest.fixture(scope="session")
def dispatches(sending_events: list[SendingEventRecord]) -> dict[str, list[SendingEventRecord]]:
    """The events of each dispatch, as they are generated."""
    by_dispatch: dict[str, list[SendingEventRecord]] = defaultdict(list)
    for row in sending_events:
        by_dispatch[row["dispatch"]].append(row)
    return by_dispatch


@pytest.fixture(scope="session")
def link_visits(recent_activity: Activity) -> list[LinkVisitRecord]:
    """Every visit of a page."""
    return recent_activity[1]


@pytest.fixture(scope="session")
def offers(recent_activity: Activity) -> dict[str, OfferRecord]:
    """Every offer, by external id."""
    return {row["external_id"]: row for row in recent_activity[2]}


@pytest.fixture(scope="session")
def offer_events(recent_activity: Activity) -> list[OfferEventRecord]:
    """Everything that happened to offers."""
    return recent_activity[3]
