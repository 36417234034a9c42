"""Merges a profile into another one of the same member."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec

from regulars.core.errors import ValidationError
from regulars.model import addresses, consents, memberships
from regulars.model.profiles import lookup
from regulars.model.profiles.schema import Profile, with_consents
from regulars.model.profiles.write import save
from regulars.model.unit_of_work import UnitOfWork

# Fields of the source that the destination takes where it has none.
_FILLED = (
    "external_id", "title", "first_name", "last_name", "email", "mobile_phone", "gender", "currency",
    "joined_location_id", "preferred_location_id", "optin_channel", "optin_subchannel",
)  # fmt: skip
# Lists that are united.
_UNITED = ("subunit_ids", "group_ids", "favorite_stores", "tags", "statuses", "custom_fields")
# Objects that are merged by key; the destination wins.
_KEYED = ("properties", "attributes")
_BIRTH = ("birth_day", "birth_month", "birth_year")


async def merge(uow: UnitOfWork, source_id: UUID, destination_id: UUID) -> None:
    """Reassigns all facts of the source to the destination; the source becomes a tombstone that names it.

    Raises ValidationError if both are the same, or if one does not exist, is deleted, or was merged.
    """
    if source_id == destination_id:
        raise ValidationError({"destination_profile_id": "must be another profile than the source"})
    await _lock_transactions(uow, source_id)
    found = await lookup.fetch_for_update(uow, [source_id, destination_id])
    source = _require_active(found, "source_profile_id", source_id)
    destination = _require_active(found, "destination_profile_id", destination_id)
    remaining_external_id = source.external_id if destination.external_id is not None else None
    tombstone = Profile(
        profile_id=source_id,
        external_id=remaining_external_id,
        # They lead to the destination until another profile has them.
        email=source.email,
        mobile_phone=source.mobile_phone,
        mobile_phone_e164=source.mobile_phone_e164,
        profile_type="deleted",
        joined_at=source.joined_at,
        merged_into=destination_id,
        deleted_at=uow.now,
    )
    # The source leaves as a member before it changes.
    await memberships.set_state(uow, [source_id], "out")
    # The source first, which frees its e-mail address and phone number.
    await save(uow, [(source, tombstone)])
    await save(uow, [(destination, _united(source, destination))])
    await _reassign(uow, source_id, destination_id)
    uow.merge(source_id, destination_id)
    uow.record_event("profile.merged", destination_id, source_id)


def _require_active(found: Mapping[UUID, Profile], path: str, profile_id: UUID) -> Profile:
    profile = found.get(profile_id)
    if profile is None or profile.deleted_at is not None:
        error = lookup.not_found_error(profile_id, None if profile is None else profile.merged_into)
        raise ValidationError({path: str(error).rstrip(".")})
    return profile


def _united(source: Profile, destination: Profile) -> Profile:
    changes: dict[str, Any] = {
        name: value for name in _FILLED if (value := _filled(destination, source, name)) is not None
    }
    if destination.mobile_phone is None:
        changes["phone_country"] = source.phone_country or destination.phone_country
        changes["mobile_phone_e164"] = source.mobile_phone_e164
    if all(getattr(destination, name) is None for name in _BIRTH):
        changes |= {name: getattr(source, name) for name in _BIRTH}
    for name in _UNITED:
        changes[name] = _both(getattr(destination, name), getattr(source, name))
    for name in _KEYED:
        changes[name] = {**getattr(source, name), **getattr(destination, name)}
    joins = [each.joined_at for each in (source, destination) if each.joined_at is not None]
    changes["joined_at"] = min(joins, default=None)
    merged = msgspec.structs.replace(destination, **changes)
    state = consents.unite(destination.consent_state, destination.contacts, source.consent_state, source.contacts)
    return with_consents(merged, state, state)


def _filled(destination: Profile, source: Profile, name: str) -> object:
    own = getattr(destination, name)
    return getattr(source, name) if own is None or own == "" else own


def _both(own: Any, others: Any) -> Any:
    if isinstance(own, dict) and isinstance(others, dict):
        return {**others, **own}
    if not isinstance(own, list) or not isinstance(others, list):
        return own or others
    return own + [each for each in others if each not in own]


# Transactions are locked before their profile, in the same order as by writers of transactions.
_LOCK_TRANSACTIONS = """
SELECT FROM transactions
WHERE community_id = $1 AND profile_id = $2 AND {index_condition}
ORDER BY id
FOR NO KEY UPDATE
"""

_REASSIGN_TRANSACTIONS = """
UPDATE transactions
SET profile_id = $3, updated_at = $4
WHERE community_id = $1 AND profile_id = $2 AND {index_condition}
RETURNING id
"""

# The conditions of the two indexes of a profile's transactions.
_INDEX_CONDITIONS = ("NOT is_void", "is_void")


async def _lock_transactions(uow: UnitOfWork, profile_id: UUID) -> None:
    for condition in _INDEX_CONDITIONS:
        await uow.execute(_LOCK_TRANSACTIONS.format(index_condition=condition), uow.community_id, profile_id)


async def _reassign(uow: UnitOfWork, source_id: UUID, destination_id: UUID) -> None:
    for condition in _INDEX_CONDITIONS:
        rows = await uow.fetch(
            _REASSIGN_TRANSACTIONS.format(index_condition=condition),
            uow.community_id,
            source_id,
            destination_id,
            uow.now,
        )
        uow.changed_transactions.update(row["id"] for row in rows)
    for table in ("transaction_claims", "identities"):
        await uow.execute(
            f"""
            UPDATE {table}
            SET profile_id = $3, updated_at = $4
            WHERE community_id = $1 AND profile_id = $2
            """,
            uow.community_id,
            source_id,
            destination_id,
            uow.now,
        )
    await addresses.reassign(uow, source_id, destination_id)
    # Profiles that were merged into the source lead to the destination directly.
    await uow.execute(
        "UPDATE profiles SET merged_into = $3 WHERE community_id = $1 AND merged_into = $2",
        uow.community_id,
        source_id,
        destination_id,
    )
