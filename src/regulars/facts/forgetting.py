"""Forgetting a member: purged without a trace, or without a name and still counted."""

from dataclasses import replace
from uuid import UUID

from regulars.facts import profile_lookup
from regulars.facts.profile_rows import Profile
from regulars.facts.profile_writes import save
from regulars.facts.writing import Writing

_OF_PROFILES = ("addresses", "identities", "memberships", "transaction_claims", "outbox")

# Two indexes hold a profile's transactions: those that count, and the void ones.
_TRANSACTIONS = """
SELECT id
FROM transactions
WHERE community_id = $1 AND profile_id = ANY ($2) AND NOT is_void
UNION ALL
SELECT id
FROM transactions
WHERE community_id = $1 AND profile_id = ANY ($2) AND is_void
"""

# What was claimed by one may have become another's since; the claim waits again.
_RELEASE_CLAIMS = """
UPDATE transaction_claims
SET transaction_id = NULL, updated_at = $3
WHERE community_id = $1 AND transaction_id = ANY ($2)
"""


async def purge(writing: Writing, profile_id: UUID) -> None:
    """Takes a profile, deleted or not, and whoever was merged into it out of every table.

    Raises NotFound where it is not there, or was merged itself.
    """
    community_id = writing.community_id
    found = (await profile_lookup.locked(writing, [profile_id])).get(profile_id)
    if found is None or found.merged_into is not None:
        raise profile_lookup.gone(profile_id, None if found is None else found.merged_into)
    rows = await writing.fetch(
        "SELECT profile_id FROM profiles WHERE community_id = $1 AND merged_into = $2",
        community_id,
        profile_id,
    )
    gone = sorted([profile_id, *(row["profile_id"] for row in rows)])
    transaction_ids = await _transactions(writing, gone)
    await _blank_responses(writing, gone, transaction_ids)
    for table, column in (("transaction_items", "transaction_id"), ("transactions", "id")):
        await writing.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND {column} = ANY ($2)", community_id, transaction_ids
        )
    writing.transactions.update(transaction_ids)
    for table in _OF_PROFILES:
        await writing.execute(
            f"DELETE FROM {table} WHERE community_id = $1 AND profile_id = ANY ($2)", community_id, gone
        )
    await writing.execute(_RELEASE_CLAIMS, community_id, transaction_ids, writing.now)
    await _purge_tokens(writing, gone)
    await writing.execute("DELETE FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)", community_id, gone)
    for each in gone:
        writing.purge(each)


async def _transactions(writing: Writing, profile_ids: list[UUID]) -> list[int]:
    rows = await writing.fetch(_TRANSACTIONS, writing.community_id, profile_ids)
    return [row["id"] for row in rows]


# The key and the digest of the request stay, so that a late retry is recognised and does not make the member again.
_BLANK_RESPONSES = """
UPDATE idempotency_keys
SET status = NULL, answer = NULL, profile_id = NULL, profile_ids = NULL, transaction_id = NULL
WHERE community_id = $1 AND {concerns}
"""


async def _blank_responses(writing: Writing, profile_ids: list[UUID], transaction_ids: list[int]) -> None:
    """Blanks the stored responses to requests with an Idempotency-Key that concern profiles or transactions."""
    for concerns, ids in (
        ("profile_id = ANY ($2)", profile_ids),
        ("profile_ids IS NOT NULL AND profile_ids && $2", profile_ids),
        ("transaction_id = ANY ($2)", transaction_ids),
    ):
        await writing.execute(_BLANK_RESPONSES.format(concerns=concerns), writing.community_id, ids)


async def _purge_tokens(writing: Writing, gone: list[UUID]) -> None:
    await writing.execute(
        "SELECT set_config('regulars.organization_id', $1, true)", str(writing.community.organization_id)
    )
    await writing.execute(
        "DELETE FROM tokens WHERE community_id = $1 AND profile_id = ANY ($2)", writing.community_id, gone
    )


_BLANK_ADDRESSES = """
UPDATE addresses
SET fields = jsonb_strip_nulls(jsonb_build_object(
        'iso', fields -> 'iso',
        'country', fields -> 'country',
        'country_iso_3', fields -> 'country_iso_3',
        'iso_state', fields -> 'iso_state',
        'state', fields -> 'state'
    )),
    updated_at = $3
WHERE community_id = $1 AND profile_id = $2
"""

# What stays is what values and counts are made of.
_KEPT = (
    "profile_id", "profile_type", "gender", "birth_year", "currency", "joined_at", "joined_location_id",
    "preferred_location_id", "optin_channel", "optin_subchannel", "consents", "sms_status", "email_status",
    "push_status", "subunit_ids", "group_ids", "favorite_stores", "phone_country",
)  # fmt: skip


async def depersonalise(writing: Writing, profile_id: UUID) -> None:
    """Blanks what tells who a member is; no value and no count changes. Raises NotFound."""
    before = await profile_lookup.locked_one(writing, profile_id)
    await _blank_responses(writing, [profile_id], await _transactions(writing, [profile_id]))
    bare = Profile(**{name: getattr(before, name) for name in _KEPT})
    comms = {name: each for name, each in before.standing.comms.items() if isinstance(each, bool)}
    await save(writing, [bare.with_standing(replace(before.standing, comms=comms).agreeing())])
    await writing.execute(_BLANK_ADDRESSES, writing.community_id, profile_id, writing.now)
    await writing.execute(
        "DELETE FROM identities WHERE community_id = $1 AND profile_id = $2", writing.community_id, profile_id
    )
    writing.touch_member(profile_id, "profile.depersonalised")
