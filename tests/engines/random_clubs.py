"""A community of many profiles, drawn from a seed so that the boundaries of the specification meet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from random import Random
from uuid import UUID
from zoneinfo import ZoneInfo

from aggregations.histories import (
    AMOUNTS,
    BRANDS,
    CODE_POINT_TRAPS,
    DISCOUNTS,
    ERAS,
    NUDGES,
    PRICES,
    QUANTITIES,
    RATES,
    STATES,
    SYSTEMS,
    ZONES,
)
from engines.input_tables import Entity
from oracle import Address, Community, Facts, Item, Location, Product, Profile, Transaction, add_months

CURRENCIES = ("EUR", "NOK", "JPY", "KWD")
SIZES = (0, 1, 1, 2, 3, 3, 4, 6, 10, 25)
"""How many transactions a profile may have."""


@dataclass(frozen=True)
class RandomClub:
    """A community, an instant in the middle of what happens there, and at which instants to look at whom."""

    facts: Facts
    now: datetime
    entities: tuple[Entity, ...]


@cache
def random_club(seed: int, profiles: int = 300, community: Community | None = None) -> RandomClub:
    """A community drawn from a seed; the instants are those at which a value changes, or a microsecond earlier."""
    random = Random(seed)
    facts, now = _Drawn(random).club(profiles)
    facts = replace(facts, community=community or facts.community)
    return RandomClub(facts, now, tuple(_boundaries(facts, now, random)))


def _boundaries(facts: Facts, now: datetime, random: Random) -> list[Entity]:
    entities = set()
    for id_, profile_facts in by_profile(facts).items():
        near = sorted(at for at in _changes(profile_facts, id_) if abs(at - now) < timedelta(days=3 * 366)) or [now]
        for at in random.sample(near, min(3, len(near))):
            entities.add((id_, at + timedelta(microseconds=random.choice((-1, 0, 0)))))
    return sorted(entities)


def _changes(facts: Facts, id_: UUID) -> set[datetime]:
    """When a transaction falls due or leaves a window, and when the midnights are that begin a stage of joining."""
    instants = {
        add_months(transaction.transacted_at, each)
        for transaction in facts.transactions.values()
        for each in (0, 3, 6, 12, 24)
    }
    if joined_at := facts.profiles[id_].joined_at:
        zone = ZoneInfo(facts.community.timezone)
        joined_on = joined_at.astimezone(zone).date()
        begins = [datetime.combine(joined_on + timedelta(days), time(), zone) for days in (91, 366, 731)]
        instants |= {at.astimezone(UTC) for at in begins}
    return instants


def by_profile(facts: Facts) -> dict[UUID, Facts]:
    """Each profile with nothing but its own transactions: the oracle has less to walk through."""
    by_profile_id: dict[UUID | None, dict[int, Transaction]] = {id_: {} for id_ in facts.profiles}
    for transaction in facts.transactions.values():
        by_profile_id.setdefault(transaction.profile_id, {})[transaction.id] = transaction
    return {id_: replace(facts, transactions=by_profile_id[id_]) for id_ in facts.profiles}


class _Drawn:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.now = random.choice(list(ERAS))
        self.odd = [datetime.fromisoformat(text).replace(tzinfo=UTC) for text in ERAS[self.now]]

    def club(self, profiles: int) -> tuple[Facts, datetime]:
        pick = self.random.choice
        places = [self.location(number) for number in range(1, 13)]
        brands = {number: Product(number, pick(BRANDS)) for number in range(1, 9)}
        members = [self.profile(number) for number in range(1, profiles + 1)]
        transactions: list[Transaction] = []
        for member in members:
            # Few instants for all that one profile does, so that they meet.
            instants = [self.instant() for _ in range(pick((1, 2, 4, 8)))]
            # Some buy elsewhere than at the few places at which all buy.
            origins = pick((range(1, 4), range(1, 13)))
            for _ in range(pick(SIZES)):
                owner = None if self.random.random() < 0.02 else member.id
                transactions.append(self.transaction(len(transactions) + 1, owner, instants, origins))
        self.random.shuffle(transactions)
        facts = Facts(
            Community(pick(ZONES), pick(CURRENCIES)),
            {each.id: each for each in places},
            brands,
            {each.id: each for each in members},
            {each.id: each for each in transactions},
        )
        return facts, self.now

    def instant(self) -> datetime:
        if self.random.random() < 0.5:
            return self.random.choice(self.odd)
        return self.now + timedelta(seconds=self.random.randint(-3 * 366 * 86400, 366 * 86400))

    def location(self, number: int) -> Location:
        pick = self.random.choice
        where = pick(STATES)
        name = f"{pick(CODE_POINT_TRAPS)}{number}"
        kind, zone = pick((None, "store", "online", "kiosk")), pick((None, *ZONES))
        return Location(number, name, kind, zone, where.country, where.iso_state, where.state)

    def profile(self, number: int) -> Profile:
        pick = self.random.choice
        default = pick((-1, 0, 1))
        addresses = [replace(pick(STATES), is_default=index == default) for index in range(pick((0, 0, 1, 2, 3)))]
        somewhere = (None, None, *range(1, 13))
        joined = pick((None, self.instant(), self.instant()))
        return Profile(UUID(int=number), joined, pick(somewhere), pick(somewhere), tuple[Address, ...](addresses))

    def transaction(
        self, number: int, owner: UUID | None, instants: Sequence[datetime], places: Sequence[int]
    ) -> Transaction:
        pick = self.random.choice
        currency = pick((None, None, "EUR", "USD", "KWD"))
        some_amount = Decimal(self.random.randint(-500_000, 2_000_000)).scaleb(-3)
        return Transaction(
            number,
            pick(instants) + pick(NUDGES),
            pick((*AMOUNTS, some_amount, some_amount)),
            owner,
            f"{pick(CODE_POINT_TRAPS)}{number}",
            currency,
            # Also with the community's own currency, where it means nothing.
            pick(RATES) if currency else None,
            pick((None, None, None, *ZONES)),
            pick((None, *places)),
            pick(SYSTEMS),
            self.random.random() < 0.1,
            tuple(self.item() for _ in range(pick((0, 1, 1, 2, 3)))),
        )

    def item(self) -> Item:
        pick = self.random.choice
        return Item(
            pick((None, None, *range(1, 9))),
            pick(BRANDS),
            pick(QUANTITIES),
            pick((None, *PRICES)),
            pick(PRICES),
            tuple(pick(DISCOUNTS) for _ in range(pick((0, 1, 2)))),
            self.random.random() < 0.2,
        )
