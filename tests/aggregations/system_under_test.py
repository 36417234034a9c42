"""Does to the product, over HTTP wherever it can be done so, what actions do to the oracle's facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec

from aggregations.actions import (
    Action,
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
    select_by_ordinal,
)
from aggregations.store_facts import (
    address_fields,
    external_code,
    in_oracle_form,
    insert_catalogue,
    to_json,
    to_request,
    to_transaction_row,
)
from clubs import Club
from oracle import Facts, Item, Location, Profile, Transaction
from regulars.aggregations import serialization
from regulars.core import money
from regulars.core.field_type import FieldType
from regulars.core.timestamps import format_timestamp
from regulars.ingest.commit import commit
from regulars.ingest.transactions import StoredTransaction, TransactionWrite, WriteMode
from regulars.model.community_update import update_community
from regulars.model.unit_of_work import UnitOfWork

_V3 = "/api/v3"


class SystemUnderTest:
    """One club of the product, and its names for what the oracle's facts hold."""

    def __init__(self, club: Club) -> None:
        self.club = club
        self.profiles: dict[UUID, UUID] = {}
        self.transactions: dict[int, int] = {}

    async def store_world(self, world: Facts) -> None:
        """Puts the catalogue there."""

        async def work(uow: UnitOfWork) -> None:
            await insert_catalogue(uow, world)

        await commit(self.club.database, self.club.community.id, work)

    async def perform(self, action: Action, before: Facts, after: Facts) -> None:
        """Does what led from the facts before to those after."""
        match action:
            case StepClock():
                return
            case CreateProfile(draft):
                (new,) = after.profiles.keys() - before.profiles.keys()
                answer = await self._sent("POST", "/profiles", _profile(draft, after.profiles[new]))
                self.profiles[new] = UUID(answer["id"])
            case ChangeProfile(_, draft):
                for changed in _differing(before.profiles, after.profiles):
                    path = f"/profiles/{self.profiles[changed]}"
                    await self._sent("PUT", path, _profile(draft, after.profiles[changed]))
            case MergeProfiles():
                await self._merge(action, before)
            case ChangeLocation():
                for changed in _differing(before.locations, after.locations):
                    await self._sent("PUT", f"/locations/{changed}", _location(after.locations[changed]))
            case ChangeProduct():
                for changed in _differing(before.products, after.products):
                    await self._sent("PUT", f"/products/{changed}", {"brand": after.products[changed].brand})
            case ChangeCommunityTimezone(timezone):
                await self._change_zone(timezone)
            case _:
                await self._do_to_transactions(action, before, after)

    async def _merge(self, action: MergeProfiles, before: Facts) -> None:
        source = select_by_ordinal(list(before.profiles), action.source)
        destination = select_by_ordinal([each for each in before.profiles if each != source], action.destination)
        if source is not None and destination is not None:
            body = {
                "source_profile_id": str(self.profiles[source]),
                "destination_profile_id": str(self.profiles[destination]),
            }
            await self._sent("POST", "/profiles/merge", body)

    async def _change_zone(self, timezone: str) -> None:
        async def work(uow: UnitOfWork) -> None:
            await update_community(uow, timezone=timezone)

        await commit(self.club.database, self.club.community.id, work)

    # Transactions -----------------------------------------------------------------------------------------

    async def _do_to_transactions(self, action: Action, before: Facts, after: Facts) -> None:
        for gone in before.transactions.keys() - after.transactions.keys():
            assert isinstance(action, DeleteTransaction)
            await self._sent("DELETE", f"/transactions/{self.transactions.pop(gone)}")
        for changed in _differing(before.transactions, after.transactions):
            await self._do_to_one(action, before.transactions.get(changed), after.transactions[changed])

    async def _do_to_one(self, action: Action, before: Transaction | None, after: Transaction) -> None:
        known = self._named(after)
        match action:
            case CreateTransaction():
                await self._create(after.id, known)
            case ChangeTransaction():
                assert before is not None
                await self._change(before, after.id, known)
            case VoidTransaction():
                await self._sent("PUT", self._path(after), {"is_void": True})
            case ClaimTransaction() if known.timezone and known.location_id:
                await self._claim(after.id, known)
            case ClaimTransaction() | MoveTransaction():
                await self._sent("PUT", self._path(after), {"profile_id": str(known.profile_id)})
            case _:
                raise AssertionError(action)

    async def _create(self, number: int, known: Transaction) -> None:
        if known.timezone is None:
            # The API requires a zone; a file leaves it to the location or the community.
            self.transactions[number] = await self._loaded(known)
        else:
            body = {**to_request(_priced(known)), "receipt_ref": f"r{number}"}
            self.transactions[number] = (await self._sent("POST", "/transactions", body))["id"]

    async def _change(self, before: Transaction, number: int, known: Transaction) -> None:
        if before.external_id is not None and before.external_id == known.external_id:
            # The same receipt in a later file.
            assert await self._loaded(known) == self.transactions[number]
        else:
            body = {**to_request(_priced(known)), "delete_existing_items": True}
            await self._sent("PUT", f"/transactions/{self.transactions[number]}", body)

    async def _loaded(self, known: Transaction) -> int:
        write = TransactionWrite(to_transaction_row(known, self.club.community), WriteMode.UPSERT)
        result = await self.club.server.group_committer.write(self.club.community.id, [write])
        (outcome,) = result.outcomes
        assert isinstance(outcome, StoredTransaction), outcome
        return outcome.id

    async def _claim(self, number: int, known: Transaction) -> None:
        path = f"/profiles/{known.profile_id}/transactions/claims"
        assert known.location_id is not None
        # Files have no receipt of their own here.
        await self._sent("PUT", f"/transactions/{self.transactions[number]}", {"receipt_ref": f"r{number}"})
        body = {
            "transaction_receipt_ref": f"r{number}",
            "transaction_transacted_at": known.transacted_at.isoformat(),
            "transaction_timezone": known.timezone,
            "transaction_total": known.total,
            "transaction_location_external_code": external_code(known.location_id),
        }
        claim = await self._sent("POST", path, body)
        assert claim["transaction_id"] == self.transactions[number], claim

    def _path(self, transaction: Transaction) -> str:
        return f"/transactions/{self.transactions[transaction.id]}"

    def _named(self, transaction: Transaction) -> Transaction:
        owner = transaction.profile_id
        return replace(transaction, profile_id=None if owner is None else self.profiles[owner])

    async def _sent(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        answer = await self.club.http.request(method, _V3 + path, content=None if body is None else to_json(body))
        assert answer.status_code in (200, 201, 204), f"{method} {path} {body}: {answer.text}"
        if answer.status_code == 204:
            return {}
        shown: dict[str, Any] = answer.json()["data"]
        return shown

    # Reading ----------------------------------------------------------------------------------------------

    async def values(self, known: Sequence[UUID]) -> dict[UUID, dict[str, object]]:
        """The values of profiles now, by the oracle's ids and in its form."""
        reads = await self.club.server.value_reader.read_many(
            self.club.community.id, [self.profiles[each] for each in known]
        )
        digits = self.club.community.minor_digits
        return {
            each: in_oracle_form(read.row, read.as_of, digits) | {"profile_id": each}
            for each in known
            if (read := reads.get(self.profiles[each]))
        }

    async def values_as_of(self, entities: Sequence[tuple[UUID, datetime]]) -> list[dict[str, object]]:
        """The values of profiles, each at its own instant, by the oracle's ids and in its form."""
        reads = await self.club.server.value_reader.read_as_of(
            self.club.community.id, [(self.profiles[each], at) for each, at in entities]
        )
        digits = self.club.community.minor_digits
        rows = []
        for (each, at), read in zip(entities, reads, strict=True):
            assert read is not None
            rows.append(in_oracle_form(read.row, at, digits) | {"profile_id": each})
        return rows

    async def sent_values(self, known: UUID) -> dict[str, Any]:
        """The values of a profile as a client gets them, numbers with all their digits."""
        answer = await self.club.http.get(f"{_V3}/profiles/{self.profiles[known]}/aggregations")
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = decode(answer.content)["data"]
        return data

    def expected_response(self, expected: Mapping[str, object]) -> dict[str, object]:
        """The oracle's values as a client should get them, locations by their ids, whole yen without decimals."""
        digits = money.minor_digits(self.club.community.currency)
        wire = {name: to_wire(value) for name, value in expected.items()}
        for name in AMOUNTS if digits.shown < digits else ():
            value = wire[name]
            if isinstance(value, Decimal) and value == int(value):
                wire[name] = int(value)
        return wire | {"profile_id": str(self.profiles[UUID(str(expected["profile_id"]))])}


AMOUNTS = tuple(each.name for each in serialization.ALL_AGGREGATIONS if each.type is FieldType.MONEY)
LOCATIONS = tuple(each.name for each in serialization.ALL_AGGREGATIONS if each.type is FieldType.LOCATION)


def decode(content: bytes) -> Any:
    """JSON as a client reads it, numbers with all their digits."""
    return msgspec.json.Decoder(float_hook=Decimal).decode(content)


def replace_locations_by_ids(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they were sent, each location by its id, once it is seen to be whole."""
    values = dict(sent)
    for name in LOCATIONS:
        if values[name] is not None:
            assert values[name].keys() >= {"id", "type", "name", "address", "created_at"}, values[name]
            values[name] = values[name]["id"]
    return values


def to_wire(value: object) -> object:
    """A value of the oracle's as a client gets it."""
    if isinstance(value, datetime):
        return format_timestamp(value)
    return value.isoformat() if isinstance(value, date) else value


def _differing(before: Mapping[Any, object], after: Mapping[Any, object]) -> list[Any]:
    return [key for key, value in after.items() if before.get(key) != value]


def _profile(draft: ProfileDraft, after: Profile) -> dict[str, object]:
    body: dict[str, object] = {
        "joined_location_id": after.joined_location_id,
        "preferred_location_id": after.preferred_location_id,
        "addresses": [address_fields(each) | {"is_default": each.is_default} for each in after.addresses],
    }
    if not isinstance(draft.joined_at, FieldPresence):
        body["joined_at"] = None if draft.joined_at is None else draft.joined_at.isoformat(timespec="microseconds")
    return body


def _location(to: Location) -> dict[str, object]:
    return {"type": to.type, "timezone": to.timezone, "address": address_fields(to)}


def _priced(transaction: Transaction) -> Transaction:
    # The API requires both prices of a line.
    return replace(transaction, items=tuple(map(_with_price, transaction.items)))


def _with_price(item: Item) -> Item:
    return replace(item, price_current=item.price_sell if item.price_current is None else item.price_current)
