"""Purchases of the oracle's facts as reports count them, recounted by nothing but loops, and queried from files."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pyarrow as pa

from engines.input_tables import Tables, to_tables
from engines.random_clubs import by_profile
from oracle import Facts, Item, Transaction, expected_values
from regulars.offline.purchase_facts import PurchaseSelection
from regulars.offline.registration import InputReading
from regulars.offline.report import open_report_session, parse_offline_query
from regulars.offline.report_relations import ReportContext, RequiredRelations
from reports.member_recount import age_group
from reports.purchase_recount import DIMENSIONS

Json = dict[str, Any]


@dataclass(frozen=True)
class Buyer:
    """What reports know of a buyer beside the oracle's facts."""

    gender: str | None
    birth_year: int | None
    birth_month: int | None
    birth_day: int | None

    def age(self, day: date) -> str | None:
        """The age on a day, by five."""
        if self.birth_year is None:
            return None
        return age_group(date(self.birth_year, self.birth_month or 1, self.birth_day or 1), day)


def buyers(facts: Facts, chance: random.Random) -> dict[UUID | None, Buyer]:
    """Of each profile what it says of itself; some have a birthday on a day on which they may buy."""
    return {
        id_: Buyer(
            chance.choice((None, "female", "male")),
            chance.choice((None, 1938, 1950, 1987, 2004, 2015)),
            chance.choice((None, 2, 10, 11)),
            chance.choice((None, 20, 25, 28)),
        )
        for id_ in facts.profiles
    }


def as_tables(facts: Facts, buyers: Mapping[UUID | None, Buyer]) -> Tables:
    """The facts as tables, with what is known of buyers."""
    tables = to_tables(facts)
    for name in ("gender", "birth_year", "birth_month", "birth_day"):
        column = pa.array([getattr(buyers[UUID(id_)], name) for id_ in tables["profiles"]["external_id"].to_pylist()])
        tables["profiles"] = tables["profiles"].append_column(name, column)
    return tables


def recount(facts: Facts, buyers: Mapping[UUID | None, Buyer], now: datetime) -> list[Json]:
    """Every purchase up to now, its buyer as of its instant."""
    facts_by_profile, zone = by_profile(facts), ZoneInfo(facts.community.timezone)

    @cache
    def dimensions(profile_id: UUID | None, at: datetime) -> Json:
        if profile_id is None:
            return dict.fromkeys(DIMENSIONS)
        values = expected_values(facts_by_profile[profile_id], profile_id, at)
        return {name: values[name] for name in DIMENSIONS}

    def purchase(transaction: Transaction) -> Json:
        buyer = buyers.get(transaction.profile_id)
        place = None if transaction.location_id is None else facts.locations[transaction.location_id]
        rate = (
            Fraction(1)
            if transaction.currency in (None, facts.community.currency)
            else Fraction(transaction.currency_rate or 0)
        )
        return {
            **dimensions(transaction.profile_id, transaction.transacted_at),
            "gender": buyer and buyer.gender,
            "age": buyer and buyer.age(transaction.transacted_at.astimezone(zone).date()),
            "at": transaction.transacted_at,
            "is_void": transaction.is_void,
            "total": transaction.total,
            "amount": _cents(Fraction(transaction.total) * rate),
            "profile": transaction.profile_id,
            "location": None if place is None else place.external_id,
            "channel": _channel(transaction, None if place is None else place.type),
            "brands": _brands(facts, transaction.items, rate),
        }

    return [purchase(transaction) for transaction in facts.transactions.values() if transaction.transacted_at <= now]


def _cents(amount: Fraction) -> Decimal:
    """Half-even, as round() does a Fraction."""
    return Decimal(round(amount * 100)).scaleb(-2)


def _channel(transaction: Transaction, kind: str | None) -> str | None:
    systems = {each.lower() for each in transaction.systems} & {"pos", "web"}
    if not systems and kind:
        systems = {"web" if kind == "online" else "pos"}
    return {2: "CM", 1: "CO" if "web" in systems else "CF", 0: None}[len(systems)]


def _brands(facts: Facts, items: Sequence[Item], rate: Fraction) -> dict[str | None, Decimal]:
    paid: dict[str | None, Fraction] = defaultdict(Fraction)
    for item in items:
        if not item.is_void:
            product = None if item.product_id is None else facts.products[item.product_id].brand
            paid[item.brand if product is None else product] += Fraction(item.price_sell) * Fraction(item.quantity)
    return {brand: _cents(amount * rate) for brand, amount in paid.items()}


def open_session(
    runner: Any, engine: str, facts: Facts, tables: Mapping[str, Any], now: datetime, bodies: Sequence[Json]
) -> Callable[[Json], Json]:
    """Opens files for these queries; returns the function that runs one."""
    each = [PurchaseSelection.for_query(parse_offline_query(body, engine)) for body in bodies]
    fields = frozenset().union(*(one.fields for one in each))
    needs = RequiredRelations(
        purchases=PurchaseSelection(fields, min(one.start for one in each), max(one.end for one in each))
    )
    context = ReportContext(facts.community.timezone, facts.community.currency, now)
    files = open_report_session(runner, tables, needs, context, InputReading(), lambda stage: None)
    return lambda body: files.execute(parse_offline_query(body, engine))
