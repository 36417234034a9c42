"""Puts the oracle's facts into the database as they are, and reads back what the product makes of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from aggregations.case import Case
from clubs import ManualClock
from oracle import Address, Facts, Item, Location, Transaction
from regulars.aggregations import serialization
from regulars.aggregations.reader import ValueReader
from regulars.core.field_type import FieldType
from regulars.ingest.commit import commit
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteMode, write
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.model.transactions.schema import TransactionIn, TransactionRow, fingerprint, validate
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

_numbers = itertools.count(1)
_encoder = msgspec.json.Encoder(decimal_format="number")


def new_community(facts: Facts) -> NewCommunity:
    """The community of the oracle's facts, to be made."""
    return NewCommunity(
        slug=f"case-{next(_numbers)}",
        name="Case",
        country=facts.community.country or "NO",
        timezone=facts.community.timezone,
        currency=facts.community.currency,
    )


async def store_facts(database: Database, facts: Facts) -> tuple[Community, Facts]:
    """A community that holds these facts, and the facts with the ids that their transactions were given."""
    async with database.unscoped_connection() as connection:
        community = await communities.create(connection, new_community(facts), database.clock())

    async def work(uow: UnitOfWork) -> dict[int, int]:
        await insert_catalogue(uow, facts)
        await _put_profiles(uow, facts)
        transactions = sorted(facts.transactions.values(), key=lambda each: each.id)
        outcomes = await write(
            uow, [TransactionWrite(to_transaction_row(each, community), WriteMode.CREATE) for each in transactions]
        )
        stored = [each for each in outcomes if isinstance(each, StoredTransaction)]
        assert len(stored) == len(transactions), outcomes
        return {each.id: outcome.id for each, outcome in zip(transactions, stored, strict=True)}

    ids = await commit(database, community.id, work)
    renumbered = {ids[each.id]: replace(each, id=ids[each.id]) for each in facts.transactions.values()}
    return community, replace(facts, transactions=renumbered)


async def store_case(database: Database, clock: ManualClock, world: Case) -> tuple[Community, Facts]:
    """The same of a case, at its instant."""
    clock.at = world.as_of
    return await store_facts(database, world.facts)


async def insert_catalogue(uow: UnitOfWork, facts: Facts) -> None:
    """Inserts the locations and products under their own ids; a product has one variant, with its id."""
    for location in facts.locations.values():
        await insert_location(uow, location)
    for product in facts.products.values():
        brand_id = None
        if product.brand is not None:
            brand_id = await uow.fetchval(
                """
                INSERT INTO brands (community_id, name, created_at, updated_at) VALUES ($1, $2, $3, $3)
                ON CONFLICT (community_id, name) WHERE deleted_at IS NULL DO UPDATE SET name = excluded.name
                RETURNING id
                """,
                uow.community_id,
                product.brand,
                uow.now,
            )
        await uow.execute(
            "INSERT INTO products (community_id, id, brand_id, created_at, updated_at) VALUES ($1, $2, $3, $4, $4)",
            uow.community_id,
            product.id,
            brand_id,
            uow.now,
        )
        await uow.execute(
            """
            INSERT INTO product_variants (community_id, id, product_id, sku, created_at, updated_at)
            VALUES ($1, $2, $2, $3, $4, $4)
            """,
            uow.community_id,
            product.id,
            f"sku-{product.id}",
            uow.now,
        )


def address_fields(where: Address | Location) -> dict[str, object]:
    """Where something is, as a client sends it."""
    return {"iso": where.country, "iso_state": where.iso_state, "state": where.state}


def external_code(location_id: int) -> str:
    """The code by which claims name a location."""
    return f"code-{location_id}"


async def insert_location(uow: UnitOfWork, location: Location) -> None:
    """Inserts a location under its own id."""
    await uow.execute(
        """
        INSERT INTO locations (
            community_id, id, external_id, external_code, type, timezone, country, iso_state, state, address,
            created_at, updated_at
        )
        VALUES ($1, $2, $3, $10, $4, $5, $6, $7, $8, $11, $9, $9)
        """,
        uow.community_id,
        location.id,
        location.external_id,
        location.type,
        location.timezone,
        location.country,
        location.iso_state,
        location.state,
        uow.now,
        external_code(location.id),
        address_fields(location) if any(address_fields(location).values()) else None,
    )


async def _put_profiles(uow: UnitOfWork, facts: Facts) -> None:
    for profile in facts.profiles.values():
        await uow.execute(
            """
            INSERT INTO profiles (
                community_id, profile_id, joined_at, joined_location_id, preferred_location_id,
                created_at, updated_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $6)
            """,
            uow.community_id,
            profile.id,
            profile.joined_at,
            profile.joined_location_id,
            profile.preferred_location_id,
            uow.now,
        )
        for address in profile.addresses:
            await uow.execute(
                """
                INSERT INTO addresses (
                    community_id, profile_id, is_default, country, iso_state, state, fields, created_at, updated_at
                )
                VALUES ($1, $2, $3, $4, $5, $6, $8, $7, $7)
                """,
                uow.community_id,
                profile.id,
                address.is_default,
                address.country,
                address.iso_state,
                address.state,
                uow.now,
                address_fields(address),
            )
        uow.mark_member_dirty(profile.id, "profile.created")


def to_transaction_row(transaction: Transaction, community: Community) -> TransactionRow:
    """A transaction of the oracle's as the product checks it, from a file."""
    request = msgspec.json.decode(to_json(to_request(transaction)), type=TransactionIn, strict=False)
    row = validate(request, community)
    row.fingerprint = fingerprint(request)
    return row


def to_json(body: object) -> bytes:
    """A body as it is sent: decimals with all their digits."""
    return _encoder.encode(body)


def to_request(transaction: Transaction) -> dict[str, Any]:
    """A transaction of the oracle's as a client sends it."""
    return {
        "external_id": transaction.external_id,
        "profile_id": None if transaction.profile_id is None else str(transaction.profile_id),
        "transacted_at": transaction.transacted_at.isoformat(timespec="microseconds"),
        "timezone": transaction.timezone,
        "total": transaction.total,
        "currency": transaction.currency,
        "currency_rate": transaction.currency_rate,
        "location_id": transaction.location_id,
        "systems": transaction.systems,
        "is_void": transaction.is_void,
        "status": transaction.status,
        "items": [_item(each) for each in transaction.items],
    }


def _item(item: Item) -> dict[str, Any]:
    return {
        "name": "a thing",
        "product_variant_id": item.product_id,
        "brand": item.brand,
        "quantity": item.quantity,
        "price_current": item.price_current,
        "price_sell": item.price_sell,
        "discounts": [{"amount": amount} for amount in item.discounts],
        "is_void": item.is_void,
    }


async def read_live(reader: ValueReader, community: Community, profile_id: UUID) -> dict[str, object]:
    """The values of a profile now, in the oracle's form."""
    values = await reader.read_many(community.id, [profile_id])
    read = values[profile_id]
    return in_oracle_form(read.row, read.as_of, community.minor_digits)


async def read_as_of(reader: ValueReader, community: Community, profile_id: UUID, at: datetime) -> dict[str, object]:
    """The values of a profile at an instant, in the oracle's form."""
    (read,) = await reader.read_as_of(community.id, [(profile_id, at)])
    assert read is not None
    return in_oracle_form(read.row, at, community.minor_digits)


def in_oracle_form(row: Mapping[str, Any], at: datetime, digits: int) -> dict[str, object]:
    """Stored values with instants, locations and ids as they are, so that nothing is cut before it is compared.

    Amounts have the decimals that they are stored with, also those of a currency that is shown with fewer.
    """
    shown = serialization.serialize(row, at, int(digits), _NoLocations())
    for each in serialization.ALL_AGGREGATIONS:
        if each.type in (FieldType.TIMESTAMP, FieldType.LOCATION):
            shown[each.name] = row[each.name]
    shown["profile_id"] = row["profile_id"]
    shown["calculated_at"] = at
    return shown


class _NoLocations(dict[int, msgspec.Raw]):
    def __missing__(self, key: int) -> msgspec.Raw:
        return msgspec.Raw(b"null")


def differences(values: Mapping[str, object], expected: Mapping[str, object]) -> dict[str, tuple[object, object]]:
    """What differs, by name: (value, expected). Decimals differ by their decimals too."""
    return {
        name: (values.get(name), value)
        for name, value in expected.items()
        if values.get(name) != value or (isinstance(value, Decimal) and str(values.get(name)) != str(value))
    }
