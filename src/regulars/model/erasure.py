"""Erasure of members: a purge deletes all their data, anonymization only what identifies them."""

from dataclasses import replace
from uuid import UUID

from regulars.model import events
from regulars.model.profiles import lookup
from regulars.model.profiles.schema import COLUMNS, Profile
from regulars.model.profiles.write import record_deletion, save
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage import personal_data

# Another profile may have claimed one of the transactions; its claim becomes open again.
_RELEASE_CLAIMS = """
UPDATE transaction_claims
SET transaction_id = NULL, updated_at = $3
WHERE community_id = $1 AND transaction_id = ANY ($2)
"""


async def purge(uow: UnitOfWork, profile_id: UUID) -> None:
    """Deletes a profile, also a deleted one, and all profiles merged into it from every table.

    Raises NotFoundError if it does not exist or was merged into another one.
    """
    community_id = uow.community_id
    found = (await lookup.fetch_for_update(uow, [profile_id])).get(profile_id)
    if found is None or found.merged_into is not None:
        raise lookup.not_found_error(profile_id, None if found is None else found.merged_into)
    profile_ids = await _with_merged(uow, profile_id)
    transaction_ids = await _transactions(uow, profile_ids)
    await _blank_responses(uow, profile_ids, transaction_ids)
    await events.erase(uow, profile_ids, transaction_ids)
    uow.changed_transactions.update(transaction_ids)
    for statement in personal_data.purge_statements():
        await uow.execute(statement, community_id, profile_ids)
    await uow.execute(_RELEASE_CLAIMS, community_id, transaction_ids, uow.now)
    await _purge_tokens(uow, profile_ids)
    await uow.execute(
        "DELETE FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)", community_id, profile_ids
    )
    for each in profile_ids:
        uow.erase(each)
    record_deletion(uow, profile_id, is_purged=True)


async def _with_merged(uow: UnitOfWork, profile_id: UUID) -> list[UUID]:
    """The ids of a profile and of those merged into it, in ascending order."""
    rows = await uow.fetch(
        "SELECT profile_id FROM profiles WHERE community_id = $1 AND merged_into = $2",
        uow.community_id,
        profile_id,
    )
    return sorted([profile_id, *(row["profile_id"] for row in rows)])


async def _transactions(uow: UnitOfWork, profile_ids: list[UUID]) -> list[int]:
    rows = await uow.fetch(
        f"SELECT id FROM transactions WHERE community_id = $1 AND {personal_data.TABLES['transactions'].condition}",
        uow.community_id,
        profile_ids,
    )
    return [row["id"] for row in rows]


# The hashes of key and request stay, so that a late retry is recognized and does not create the member again.
_BLANK_RESPONSES = """
UPDATE idempotency_keys
SET status = NULL, response_body = NULL, profile_id = NULL, profile_ids = NULL, transaction_id = NULL
WHERE community_id = $1 AND {condition}
"""


async def _blank_responses(uow: UnitOfWork, profile_ids: list[UUID], transaction_ids: list[int]) -> None:
    """Blanks stored responses that concern the profiles or transactions."""
    conditions: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("profile_id = ANY ($2)", (profile_ids,)),
        ("profile_ids IS NOT NULL AND profile_ids && $2", (profile_ids,)),
        ("transaction_id = ANY ($2)", (transaction_ids,)),
    )
    for condition, values in conditions:
        await uow.execute(_BLANK_RESPONSES.format(condition=condition), uow.community_id, *values)


async def _purge_tokens(uow: UnitOfWork, profile_ids: list[UUID]) -> None:
    await uow.execute(
        "SELECT delete_profile_tokens($1, $2, $3)", uow.community.organization_id, uow.community_id, profile_ids
    )


_BLANK_MERGED = """
UPDATE profiles
SET external_id = NULL, email = NULL, mobile_phone = NULL, mobile_phone_e164 = NULL, updated_at = $3
WHERE community_id = $1 AND merged_into = $2
"""

# The columns from which values and counts are computed.
_RETAINED = [name for name in ("profile_id", *COLUMNS) if name in personal_data.retained_columns("profiles")]


async def anonymize(uow: UnitOfWork, profile_id: UUID) -> None:
    """Deletes the data that identify a member; no value and no count changes. Raises NotFoundError."""
    before = await lookup.fetch_one_for_update(uow, profile_id)
    same = await _with_merged(uow, profile_id)
    transaction_ids = await _transactions(uow, same)
    await _blank_responses(uow, same, transaction_ids)
    await events.erase(uow, same, transaction_ids)
    bare = Profile(**{name: getattr(before, name) for name in _RETAINED})
    comms = {name: each for name, each in before.consent_state.comms.items() if isinstance(each, bool)}
    after = bare.with_consent_state(replace(before.consent_state, comms=comms).with_synced_comms())
    await save(uow, [(before, after)])
    await uow.execute(_BLANK_MERGED, uow.community_id, profile_id, uow.now)
    for statement in personal_data.depersonalize_statements():
        await uow.execute(statement, uow.community_id, same)
    await _purge_tokens(uow, same)
    uow.mark_member_dirty(profile_id, "profile.depersonalised")
    uow.record_event("profile.depersonalised", profile_id)
