"""What can happen in a community, and the facts afterwards.

Actions name things by small ordinals, taken modulo what exists when they happen, so that a history still
makes sense when shrinking takes actions out of it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum
from typing import TypeVar
from uuid import UUID

from oracle import Address, Facts, Location, Profile, Transaction, change_instants

Thing = TypeVar("Thing")


class FieldPresence(Enum):
    """What stands for a field that a request leaves out, where null would mean something else."""

    OMITTED = "not sent"


@dataclass(frozen=True)
class ProfileDraft:
    """A profile as it is sent; its locations are ordinals."""

    joined_at: datetime | FieldPresence | None = FieldPresence.OMITTED
    joined_location: int | None = None
    preferred_location: int | None = None
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True)
class CreateProfile:
    draft: ProfileDraft


@dataclass(frozen=True)
class ChangeProfile:
    """Replaces what the draft sends; a `joined_at` that is not sent stays."""

    profile: int
    draft: ProfileDraft


@dataclass(frozen=True)
class CreateTransaction:
    """Adds the draft, anonymous without a profile; `location_id` and `product_id` in it are ordinals."""

    profile: int | None
    draft: Transaction


@dataclass(frozen=True)
class ChangeTransaction:
    """Replaces all but the id and the profile by the draft, ordinals in it as in CreateTransaction."""

    transaction: int
    draft: Transaction


@dataclass(frozen=True)
class VoidTransaction:
    transaction: int


@dataclass(frozen=True)
class DeleteTransaction:
    transaction: int


@dataclass(frozen=True)
class ClaimTransaction:
    """Gives an anonymous transaction to a profile; `transaction` counts the anonymous ones only."""

    transaction: int
    profile: int


@dataclass(frozen=True)
class MoveTransaction:
    """Re-assigns a transaction that has a profile; `transaction` counts those only."""

    transaction: int
    profile: int


@dataclass(frozen=True)
class MergeProfiles:
    """Merges one profile into another; `destination` counts the profiles other than the source."""

    source: int
    destination: int


@dataclass(frozen=True)
class ChangeLocation:
    """Replaces fields of the location by those of `to`: `only` this one, or all but the id and the external_id."""

    location: int
    to: Location
    only: str | None = None


@dataclass(frozen=True)
class ChangeProduct:
    product: int
    brand: str | None


@dataclass(frozen=True)
class ChangeCommunityTimezone:
    timezone: str


@dataclass(frozen=True)
class Boundary:
    """The nth instant to come at which the clock might change a value, or a microsecond beside it."""

    ordinal: int
    microseconds: int


@dataclass(frozen=True)
class StepClock:
    to: datetime | Boundary


TransactionAction = (
    CreateTransaction | ChangeTransaction | VoidTransaction | DeleteTransaction | ClaimTransaction | MoveTransaction
)
ProfileAction = CreateProfile | ChangeProfile | MergeProfiles
Action = ProfileAction | TransactionAction | ChangeLocation | ChangeProduct | ChangeCommunityTimezone | StepClock


def clock_after(facts: Facts, action: Action, now: datetime) -> datetime:
    """The time once the action has happened: only StepClock moves it, and never back."""
    if not isinstance(action, StepClock):
        return now
    if isinstance(action.to, datetime):
        return max(now, action.to)
    ahead = {moment for profile_id in facts.profiles for moment in change_instants(facts, profile_id, now)}
    boundary = select_by_ordinal(sorted(ahead), action.to.ordinal)
    return now if boundary is None else max(now, boundary + timedelta(microseconds=action.to.microseconds))


def apply(facts: Facts, action: Action, now: datetime, new_id: UUID | int) -> Facts:
    """The facts after the action, as the server would have them; the same object where it meets nothing.

    `new_id` is the id of what the action creates: a UUID for a profile, an integer for a transaction.
    """
    match action:
        case CreateProfile() | ChangeProfile():
            return _apply_to_profile(facts, action, now, new_id)
        case MergeProfiles(source, destination):
            return _merged(facts, source, destination)
        case ChangeLocation(ordinal, to, only):
            location = select_by_ordinal(facts.locations.values(), ordinal)
            changed = location and (
                replace(location, **{only: getattr(to, only)})
                if only
                else replace(to, id=location.id, external_id=location.external_id)
            )
            return replace(facts, locations=facts.locations | {changed.id: changed}) if changed else facts
        case ChangeProduct(ordinal, brand):
            product = select_by_ordinal(facts.products.values(), ordinal)
            rebranded = product and replace(product, brand=brand)
            return replace(facts, products=facts.products | {rebranded.id: rebranded}) if rebranded else facts
        case ChangeCommunityTimezone(timezone):
            return replace(facts, community=replace(facts.community, timezone=timezone))
        case StepClock():
            return facts
        case _:
            return _apply_to_transaction(facts, action, new_id)


def _apply_to_profile(facts: Facts, action: CreateProfile | ChangeProfile, now: datetime, new_id: UUID | int) -> Facts:
    draft = action.draft
    if isinstance(action, CreateProfile):
        assert isinstance(new_id, UUID)
        profile: Profile | None = Profile(new_id, joined_at=now)
    else:
        profile = select_by_ordinal(facts.profiles.values(), action.profile)
    if profile is None:
        return facts
    changed = replace(
        profile,
        joined_at=profile.joined_at if isinstance(draft.joined_at, FieldPresence) else draft.joined_at,
        joined_location_id=select_by_ordinal(facts.locations, draft.joined_location),
        preferred_location_id=select_by_ordinal(facts.locations, draft.preferred_location),
        addresses=draft.addresses,
    )
    return replace(facts, profiles=facts.profiles | {changed.id: changed})


def _apply_to_transaction(facts: Facts, action: TransactionAction, new_id: UUID | int) -> Facts:
    known = facts.transactions.values()
    if isinstance(action, CreateTransaction):
        assert isinstance(new_id, int)
        owner = select_by_ordinal(facts.profiles, action.profile)
        return _with(facts, _resolved(facts, replace(action.draft, id=new_id, profile_id=owner)))
    if isinstance(action, ClaimTransaction | MoveTransaction):
        owned = isinstance(action, MoveTransaction)
        transaction = select_by_ordinal(
            [each for each in known if (each.profile_id is not None) == owned], action.transaction
        )
        owner = select_by_ordinal(facts.profiles, action.profile)
        return _with(facts, replace(transaction, profile_id=owner)) if transaction and owner else facts
    transaction = select_by_ordinal(known, action.transaction)
    if transaction is None:
        return facts
    if isinstance(action, ChangeTransaction):
        draft = replace(action.draft, id=transaction.id, profile_id=transaction.profile_id)
        return _with(facts, _resolved(facts, draft))
    if isinstance(action, VoidTransaction):
        return _with(facts, replace(transaction, is_void=True))
    return replace(facts, transactions={each.id: each for each in known if each is not transaction})


def _with(facts: Facts, transaction: Transaction) -> Facts:
    return replace(facts, transactions=facts.transactions | {transaction.id: transaction})


def _resolved(facts: Facts, draft: Transaction) -> Transaction:
    """The draft with ids for its ordinals, and without an external id that another transaction has."""
    taken = {each.external_id for each in facts.transactions.values() if each.id != draft.id}
    return replace(
        draft,
        external_id=None if draft.external_id in taken else draft.external_id,
        location_id=select_by_ordinal(facts.locations, draft.location_id),
        items=tuple(
            replace(item, product_id=select_by_ordinal(facts.products, item.product_id)) for item in draft.items
        ),
    )


def _merged(facts: Facts, source_ordinal: int, destination_ordinal: int) -> Facts:
    """Merged as the Profile API says: filled fields of the destination win, the earlier join stays."""
    source = select_by_ordinal(facts.profiles.values(), source_ordinal)
    others = [each for each in facts.profiles.values() if each is not source]
    destination = select_by_ordinal(others, destination_ordinal)
    if source is None or destination is None:
        return facts
    joins = [each.joined_at for each in (source, destination) if each.joined_at is not None]
    has_default = any(address.is_default for address in destination.addresses)
    moved = [replace(each, is_default=each.is_default and not has_default) for each in source.addresses]
    merged = Profile(
        destination.id,
        min(joins, default=None),
        _filled(destination.joined_location_id, source.joined_location_id),
        _filled(destination.preferred_location_id, source.preferred_location_id),
        (*destination.addresses, *moved),
    )
    transactions = {
        each.id: replace(each, profile_id=merged.id) if each.profile_id == source.id else each
        for each in facts.transactions.values()
    }
    profiles = {each.id: merged if each is destination else each for each in others}
    return replace(facts, profiles=profiles, transactions=transactions)


def _filled(wins: Thing | None, fills: Thing | None) -> Thing | None:
    return fills if wins is None else wins


def select_by_ordinal(existing: Collection[Thing], ordinal: int | None) -> Thing | None:
    return None if ordinal is None or not existing else list(existing)[ordinal % len(existing)]
