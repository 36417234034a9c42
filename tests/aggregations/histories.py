"""Histories of a community as Hypothesis strategies: a world, a clock, and what happens in it.

Drawn so that boundaries meet: few instants, few places, amounts at half a cent, clocks that step to where a
value changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import strategies as st

from aggregations.actions import (
    Action,
    Boundary,
    ChangeCommunityTimezone,
    ChangeLocation,
    ChangeProduct,
    ChangeProfile,
    ChangeTransaction,
    ClaimTransaction,
    CreateProfile,
    CreateTransaction,
    DeleteTransaction,
    FieldPresence,
    MergeProfiles,
    MoveTransaction,
    ProfileDraft,
    StepClock,
    VoidTransaction,
    apply,
    clock_after,
)
from oracle import Address, Community, Facts, Item, Location, Product, Transaction

__all__ = ["History", "apply", "clock_after", "histories", "outcomes", "replay"]

ZONES = (
    "UTC",
    "Europe/Oslo",
    "America/Havana",  # skips midnight in March
    "Asia/Kathmandu",  # +05:45
    "Pacific/Auckland",
    "America/Sao_Paulo",  # skipped midnight until 2018
    "Australia/Lord_Howe",  # moves by half an hour
)
CODE_POINT_TRAPS = ("a", "B", "\u00e9", "10", "9")
BRANDS = (None, "Acme", "acme", "\u00c9clair")
STATES = (
    Address(),
    Address("NO", "NO-03", "Oslo"),
    Address("NO", "NO-46", "Vestland"),
    Address("NO"),
    Address("SE", "SE-AB", "Stockholm"),
    Address("AU", "AU-VIC", "Victoria"),
    Address("NZ", None, "Victoria"),
    Address(None, "NO-03", "Oslo"),
)
LOCATION_FIELDS = ("type", "timezone", "country", "iso_state", "state")
AMOUNTS = tuple(map(Decimal, ("10.00", "0.00", "-10.00", "0.005", "0.015", "-0.005", "0.004", "2.675", "0.05", "1000")))
PRICES = tuple(map(Decimal, ("100.00", "19.99", "0", "0.005", "800")))
DISCOUNTS = tuple(map(Decimal, ("1", "3", "0.125", "0")))
QUANTITIES = tuple(map(Decimal, ("1", "2", "0.5", "0", "-1")))
RATES = tuple(map(Decimal, ("0.5", "1.1", "0.333333", "150.25")))
SYSTEMS = ((), ("pos",), ("web",), ("POS", "Web"), ("app",))
NUDGES = tuple(
    timedelta(microseconds=microseconds) for microseconds in (0, 0, 0, 0, 1, -1, 30 * 60 * 10**6, -11 * 3600 * 10**6)
)


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# By the instant at which a history starts: the instants in which something is odd, around it. All that is reached from
# them lies in years whose rules have long been settled, for engines have rules of time zones of different ages.
ERAS = {
    _instant("2021-02-20 12:00"): [
        *("2020-12-01 12:00", "2020-02-29 10:00", "2020-02-28 20:00", "2019-02-28 12:00", "2019-08-31 12:00"),
        *("2020-08-31 12:00", "2020-11-30 10:00", "2020-11-29 20:00", "2020-12-31 23:59:59.999999"),
        *("2021-01-31 12:00", "2021-02-28 10:00", "2021-03-31 12:00", "2020-03-29 01:00", "2020-10-25 00:30"),
        *("2020-03-08 05:00", "2020-04-04 15:00", "2020-10-03 15:30", "2020-09-26 14:00", "2020-11-21 18:15"),
    ],
    _instant("2018-10-20 12:00"): [
        *("2018-10-01 12:00", "2018-11-04 03:00", "2018-08-05 03:00", "2018-02-18 02:00", "2017-11-04 03:00"),
        *("2016-02-29 12:00", "2016-11-30 12:00", "2017-02-28 12:00", "2018-07-31 12:00", "2018-11-04 02:30"),
    ],
}


@dataclass(frozen=True)
class History:
    """A community without members at `starts_at`, and what happens from then on."""

    world: Facts
    starts_at: datetime
    actions: tuple[Action, ...]


def replay(history: History) -> Iterator[tuple[Action, Facts, datetime]]:
    """Each action with the facts and the time after it; what it creates has its number as id."""
    facts, now = history.world, history.starts_at
    for number, action in enumerate(history.actions, start=1):
        now = clock_after(facts, action, now)
        facts = apply(facts, action, now, UUID(int=number) if isinstance(action, CreateProfile) else number)
        yield action, facts, now


@st.composite
def histories(draw: st.DrawFn, max_actions: int = 40) -> History:
    """A world, and up to `max_actions` actions after the first profile is made."""
    starts_at = draw(st.sampled_from(list(ERAS)))
    # Few instants for all the facts of one history, so that they meet.
    instants = draw(st.lists(_instants_of(starts_at), min_size=1, max_size=8))
    meeting = st.builds(_nudged, st.sampled_from(instants), st.sampled_from(NUDGES))
    first = CreateProfile(draw(_profile_drafts(meeting)))
    # Long on the whole, and yet what shrinking turns to None falls out.
    others = draw(st.lists(_actions(meeting), min_size=max_actions // 4, max_size=max_actions - 1))
    return History(draw(worlds()), starts_at, (first, *(each for each in others if each is not None)))


@st.composite
def outcomes(draw: st.DrawFn, max_actions: int = 40) -> tuple[Facts, datetime]:
    """The facts that a history leaves, at whole seconds, and the time then."""
    history = draw(histories(max_actions))
    *_, (_, facts, now) = replay(history)
    transactions = {
        key: replace(each, transacted_at=each.transacted_at.replace(microsecond=0))
        for key, each in facts.transactions.items()
    }
    return replace(facts, transactions=transactions), now.replace(microsecond=0) + timedelta(seconds=1)


@st.composite
def worlds(draw: st.DrawFn) -> Facts:
    """A community with up to 4 locations and 3 products, without profiles and transactions."""
    community = Community(draw(st.sampled_from(ZONES)), draw(st.sampled_from(("EUR", "NOK", "JPY", "KWD"))), "NO")
    external_ids = draw(st.permutations((None, None, None, None, *CODE_POINT_TRAPS)))
    drafts = draw(st.lists(_locations(), min_size=draw(st.sampled_from((0, 2, 3))), max_size=4))
    locations = [
        replace(draft, id=number, external_id=external_id)
        for number, (draft, external_id) in enumerate(zip(drafts, external_ids, strict=False), start=1)
    ]
    brands = draw(st.lists(st.sampled_from(BRANDS), max_size=3))
    products = [Product(number, brand) for number, brand in enumerate(brands, start=1)]
    return Facts(community, {each.id: each for each in locations}, {each.id: each for each in products}, {}, {})


def _ordinals() -> st.SearchStrategy[int]:
    return st.integers(0, 4)


def _instants_of(starts_at: datetime) -> st.SearchStrategy[datetime]:
    odd = st.sampled_from([_instant(text) for text in ERAS[starts_at]])
    span, start = timedelta(days=3 * 366), starts_at.replace(tzinfo=None)
    return odd | st.datetimes(start - span, start + span, timezones=st.just(UTC))


def _nudged(instant: datetime, nudge: timedelta) -> datetime:
    return instant + nudge


@st.composite
def _locations(draw: st.DrawFn) -> Location:
    where = draw(st.sampled_from(STATES))
    kind = draw(st.sampled_from((None, "store", "online")))
    zone = draw(st.sampled_from((None, *ZONES)))
    return Location(0, None, kind, zone, where.country, where.iso_state, where.state)


@st.composite
def _profile_drafts(draw: st.DrawFn, instants: st.SearchStrategy[datetime]) -> ProfileDraft:
    places = draw(st.lists(st.sampled_from(STATES), max_size=3))
    default = draw(st.integers(-1, 2))
    return ProfileDraft(
        draw(st.one_of(st.just(FieldPresence.OMITTED), instants, st.none())),
        draw(st.none() | _ordinals()),
        draw(st.none() | _ordinals()),
        tuple(replace(place, is_default=index == default) for index, place in enumerate(places)),
    )


def _items() -> st.SearchStrategy[Item]:
    return st.builds(
        Item,
        st.none() | _ordinals(),
        st.sampled_from(BRANDS),
        st.sampled_from(QUANTITIES),
        st.none() | st.sampled_from(PRICES),
        st.sampled_from(PRICES),
        st.lists(st.sampled_from(DISCOUNTS), max_size=2).map(tuple),
        st.sampled_from((False, False, True)),
    )


@st.composite
def _transaction_drafts(draw: st.DrawFn, instants: st.SearchStrategy[datetime]) -> Transaction:
    total = draw(st.sampled_from(AMOUNTS) | st.decimals(-500, 2000, places=3))
    currency = draw(st.sampled_from((None, None, "EUR", "USD", "KWD")))
    return Transaction(
        0,
        draw(instants),
        total,
        external_id=draw(st.sampled_from((None, None, *CODE_POINT_TRAPS, "1001", "1002", "1003"))),
        currency=currency,
        # Also with the community's own currency, where it means nothing.
        currency_rate=draw(st.sampled_from(RATES)) if currency else None,
        timezone=draw(st.sampled_from((None, None, None, *ZONES))),
        location_id=draw(st.sampled_from((None, 0, 1, 0, 1, 2, 3))),
        systems=draw(st.sampled_from(SYSTEMS)),
        is_void=draw(st.sampled_from((False,) * 7 + (True,))),
        items=tuple(draw(st.lists(_items(), max_size=3))),
        status=draw(st.sampled_from((None,) * 6 + ("paid", "Failed"))),
    )


def _actions(instants: st.SearchStrategy[datetime]) -> st.SearchStrategy[Action | None]:
    ordinals, drafts, profiles = _ordinals(), _transaction_drafts(instants), _profile_drafts(instants)
    boundaries = st.builds(Boundary, st.sampled_from((0, 0, 0, 1, 2, 5)), st.sampled_from((0, -1, 1)))
    weighted: list[tuple[int, st.SearchStrategy[Action | None]]] = [
        (1, st.none()),
        (16, st.builds(CreateTransaction, st.sampled_from((0, 0, 0, 1, 1, 2, None)), drafts)),
        (4, st.builds(ChangeTransaction, ordinals, drafts)),
        (5, st.builds(StepClock, boundaries)),
        (1, st.builds(StepClock, instants)),
        (2, st.builds(CreateProfile, profiles)),
        (2, st.builds(ChangeProfile, ordinals, profiles)),
        (1, st.builds(MergeProfiles, ordinals, ordinals)),
        (1, st.builds(VoidTransaction, ordinals)),
        (1, st.builds(DeleteTransaction, ordinals)),
        (2, st.builds(ClaimTransaction, ordinals, ordinals)),
        (2, st.builds(MoveTransaction, ordinals, ordinals)),
        (3, st.builds(ChangeLocation, ordinals, _locations(), st.sampled_from((None, *LOCATION_FIELDS)))),
        (1, st.builds(ChangeProduct, ordinals, st.sampled_from(BRANDS))),
        (1, st.builds(ChangeCommunityTimezone, st.sampled_from(ZONES))),
    ]
    # one_of would count equal strategies once.
    return st.sampled_from([kind for weight, kind in weighted for _ in range(weight)]).flatmap(lambda kind: kind)
