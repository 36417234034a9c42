"""The relations that a report over files is asked of, made step by step, the same on every engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from regulars.aggregations import wire
from regulars.aggregations.choosing import names_read
from regulars.bulk import lines, member_facts, plan, purchase_facts
from regulars.bulk.lists import LISTS, Lists
from regulars.bulk.plan import Asked, Runner
from regulars.bulk.purchase_facts import Purchases
from regulars.bulk.refusals import UnfitError
from regulars.bulk.shape import Club, Faults, Lines, Source, Step
from regulars.facts import money, phones
from regulars.query import filter_sql
from regulars.query.compiling import grouping
from regulars.query.query import Query
from regulars.reports import transactions
from regulars.reports.derive import PERSONAL, plain
from regulars.reports.member_fields import VALUES

_VALUES = {each.name for each in VALUES}
_OF_PURCHASES = {each.name for each in transactions.REPORTS}
_OF_GROUPS = ("members_grouped_count", "members_count_history")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a query is about: of the members, beside what every profile says, their values, their countries; or
    purchases.
    """

    values: bool = False
    country: bool = False
    purchases: Purchases | None = None

    @staticmethod
    def of(query: Query) -> "Needs":
        """What a query needs."""
        report = query.report
        if report.name in _OF_PURCHASES:
            return Needs(purchases=Purchases.of(query))
        asked = {*filter_sql.fields(query.filter), *(each.name for each in grouping(query))}
        is_listed = bool(report.key) and query.aggregate_by is None
        names = {each.removeprefix("aggregations.") for each in asked}
        names |= {each.name for each in report.fields if each.shown} if is_listed else set()
        values = bool(names & _VALUES) or report.name == "member_aggregations"
        return Needs(values, "country" in names or report.name in _OF_GROUPS)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of the club, and the instant that it is asked at. `personal` are properties that stay out."""

    timezone: str
    currency: str | None
    now: datetime
    community_id: int = 1
    personal: tuple[str, ...] = ()


def make_purchases(
    runner: Runner, sources: Mapping[str, Source], wanted: Purchases, asked: Told, tell: Callable[[str], None]
) -> Club:
    """Makes `purchases` and, where they are asked for by brand, `bought_brands`; gives the club.

    Raises UnfitError for whatever can't be computed from.
    """
    registry = plan.needed_for(wanted.dimensions)
    read = names_read(registry) | wanted.read
    has_profiles = "profiles" in sources
    if has_profiles:
        own, named = sources["profiles"], wanted.of_profiles
        columns = {name: given for name, given in own.columns.items() if name in named}
        sources = {**sources, "profiles": replace(own, columns=columns)}
    by = Asked(asked.timezone, asked.currency, None, ())
    made = plan.make_facts(runner, sources, by, read, tell, has_anonymous=True)
    if wanted.is_branded and made.shape.lines is Lines.NOWHERE:
        raise UnfitError("transactions have no lines, and brand is of lines: give items, or columns from sku on.")
    tell("computing")
    if wanted.dimensions:
        runner.make(purchase_facts.buyers(wanted, asked.now))
        plan.make_values(runner, made, None, registry)
    runner.make(purchase_facts.purchases(wanted, made.shape, runner.dialect))
    if wanted.is_branded:
        runner.make(lines.brand_amounts(made.shape, runner.dialect))
        runner.make(purchase_facts.bought_brands(wanted))
    return made.shape.club


def make(runner: Runner, sources: Mapping[str, Source], needs: Needs, asked: Told, tell: Callable[[str], None]) -> Club:
    """Makes `members`, `joins` and `turns`; gives the club, whose money values are in.

    Raises UnfitError for whatever can't be computed from.
    """
    lists = LISTS[runner.dialect.engine.name]
    currency = asked.currency
    profiles, told = sources["profiles"], sources.get("memberships")
    if needs.values:
        of_values = {name: source for name, source in sources.items() if name != "memberships"}
        plan.run(runner, of_values, Asked(asked.timezone, currency, asked.now, wire.ALL), tell)
        currency = runner.rows("SELECT currency FROM club")[0][0]
    else:
        plan.make_countries(runner)
        tell("reading")
        plan.make_typed(runner, profiles, Faults())
    faults = Faults()
    _refuse(runner, member_facts.wrong_profiles(faults), "external_id", faults)
    if told is not None:
        plan.make_typed(runner, told, faults)
        _refuse(runner, member_facts.wrong_memberships(faults), "profile", faults)
    _make_countries(runner, lists, profiles, needs, faults)
    own = currency or "EUR"
    club = Club(asked.timezone, own, money.minor_digits(own))
    never = sorted({*PERSONAL, *map(plain, asked.personal)})
    for step in (
        *member_facts.states(club, asked.now, never, runner.dialect, lists),
        *member_facts.memberships(told, club, asked.now, runner.dialect, lists),
        member_facts.members(runner.dialect, has_values=needs.values),
    ):
        runner.make(step)
    return club


def _make_countries(runner: Runner, lists: Lists, profiles: Source, needs: Needs, faults: Faults) -> None:
    """Makes the countries that addresses tell, and, of who has none, those that phones tell."""
    runner.make(member_facts.home_countries(profiles, runner.dialect, lists, faults))
    plan.refuse(runner, "home_countries", "external_id", faults)
    numbers: list[tuple[Any, ...]] = []
    if needs.country and profiles.has("mobile_phone"):
        numbers = runner.rows(member_facts.PHONES)
    told = ((number, phones.country(number)) for (number,) in numbers)
    runner.make_pairs("phone_countries", ("number", "country"), [(a, b) for a, b in told if b is not None])


def _refuse(runner: Runner, rows: str, key: str, faults: Faults) -> None:
    runner.make(Step(f"checked_{key}s", rows))
    plan.refuse(runner, f"checked_{key}s", key, faults)
