"""How a case of the aggregations is written: facts of one profile, an instant, and what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from oracle import Community, Facts, Location, Product, Profile, Transaction

ME = UUID("922fafaf-1115-4221-8a33-00fed3333397")
AS_OF = "2026-11-01"
STORES = (Location(1, "10"), Location(2, "9"))


@dataclass(frozen=True)
class Case:
    """Facts, an instant, and what some of the values are then."""

    name: str
    facts: Facts
    as_of: datetime
    expected: Mapping[str, object]


def at(text: str) -> datetime:
    """The instant in UTC, written as in ISO 8601; a date alone is its midnight."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def purchase(when: str, total: str, place: int | None = None, **rest: Any) -> Transaction:
    """A transaction that `case` gives to the profile and numbers by its position."""
    return Transaction(0, at(when), Decimal(total), location_id=place, **rest)


def case(
    name: str,
    transactions: Sequence[Transaction],
    expected: Mapping[str, object],
    *,
    as_of: str = AS_OF,
    joined: str | None = "2026-08-03",
    community: Community = Community(),  # noqa: B008 - it is frozen
    locations: Sequence[Location] = STORES,
    products: Sequence[Product] = (),
    **profile: Any,
) -> Case:
    """A case of one profile, which joined at `joined`; more keywords are fields of the profile."""
    mine = Profile(ME, None if joined is None else at(joined), **profile)
    numbered = [replace(each, id=number, profile_id=ME) for number, each in enumerate(transactions, start=1)]
    facts = Facts(
        community,
        {location.id: location for location in locations},
        {product.id: product for product in products},
        {ME: mine},
        {transaction.id: transaction for transaction in numbered},
    )
    return Case(name, facts, at(as_of), expected)
