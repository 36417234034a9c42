"""Forgetting a member: purged without a trace, or without a name and still counted."""

import re
from dataclasses import replace
from uuid import UUID

import msgspec

from regulars.model.profiles import lookup
from regulars.model.profiles.schema import COLUMNS, Profile
from regulars.model.profiles.write import save
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage import personal_data

# What was claimed by one may have become another's since; the claim waits again.
_RELEASE_CLAIMS = """
UPDATE transaction_claims
SET transaction_id = NULL, updated_at = $3
WHERE community_id = $1 AND transaction_id = ANY ($2)
"""


async def purge(uow: UnitOfWork, profile_id: UUID) -> None:
    """Takes a profile, deleted or not, and whoever was merged into it out of every table.

    Raises NotFoundError where it is not there, or was merged itself.
    """
    community_id = uow.community_id
    found = (await lookup.fetch_for_update(uow, [profile_id])).get(profile_id)
    if found is None or found.merged_into is not None:
        raise lookup.not_found_error(profile_id, None if found is None else found.merged_into)
    gone = await _with_merged(uow, profile_id)
    transaction_ids = await _transactions(uow, gone)
    await _blank_responses(uow, gone, transaction_ids)
    uow.changed_transactions.update(transaction_ids)
    for statement in personal_data.purge_statements():
        await uow.execute(statement, community_id, gone)
    await uow.execute(_RELEASE_CLAIMS, community_id, transaction_ids, uow.now)
    await _purge_tokens(uow, gone)
    await uow.execute("DELETE FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)", community_id, gone)
    for each in gone:
        uow.erase(each)


async def _with_merged(uow: UnitOfWork, profile_id: UUID) -> list[UUID]:
    """A profile and those that were merged into it, in the order of their ids."""
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


# The digests of key and request stay, so that a late retry is recognised and does not create the member again.
_BLANK_RESPONSES = """
UPDATE idempotency_keys
SET status = NULL, response_body = NULL, profile_id = NULL, profile_ids = NULL, transaction_id = NULL
WHERE community_id = $1 AND {concerns}
"""

# One pattern of all names could take the database minutes to compile, for a profile may have thousands of identities.
# So names are searched for one by one, as plain text first.
_QUOTES = """profile_ids IS NOT NULL AND EXISTS (
    SELECT
    FROM (SELECT lower(convert_from(response_body, 'UTF8')) AS text OFFSET 0) AS quoting
    CROSS JOIN unnest($2::text[], $3::text[]) AS named (name, pattern)
    WHERE CASE WHEN strpos(quoting.text, lower(named.name)) > 0 THEN quoting.text ~ lower(named.pattern) END
)"""


async def _blank_responses(uow: UnitOfWork, profile_ids: list[UUID], transaction_ids: list[int]) -> None:
    """Blanks stored responses to requests with an Idempotency-Key that concern the profiles or transactions, or quote a
    row that names one of the profiles.
    """
    names = await _names(uow, profile_ids)
    concerned: tuple[tuple[str, tuple[object, ...]], ...] = (
        ("profile_id = ANY ($2)", (profile_ids,)),
        ("profile_ids IS NOT NULL AND profile_ids && $2", (profile_ids,)),
        ("transaction_id = ANY ($2)", (transaction_ids,)),
        (_QUOTES, (names, [_whole_word(name) for name in names])),
    )
    for concerns, found in concerned:
        await uow.execute(_BLANK_RESPONSES.format(concerns=concerns), uow.community_id, *found)


_NAMES = """
SELECT external_id AS name FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)
UNION ALL
SELECT email FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)
UNION ALL
SELECT mobile_phone FROM profiles WHERE community_id = $1 AND profile_id = ANY ($2)
UNION ALL
SELECT identifier FROM identities WHERE community_id = $1 AND profile_id = ANY ($2)
"""

_MIN_NAME_LENGTH = 3
"""Shorter names occur in every response."""


async def _names(uow: UnitOfWork, profile_ids: list[UUID]) -> list[str]:
    """The names of the profiles in other systems, as JSON encodes them."""
    rows = await uow.fetch(_NAMES, uow.community_id, profile_ids)
    names = {str(each) for each in profile_ids} | {row["name"] for row in rows if row["name"] is not None}
    return sorted(msgspec.json.encode(name).decode()[1:-1] for name in names if len(name) >= _MIN_NAME_LENGTH)


def _whole_word(name: str) -> str:
    """A regular expression of PostgreSQL that matches a name where it is not part of a longer one."""
    return rf"(?<![[:alnum:]]){re.escape(name)}(?![[:alnum:]])"


async def _purge_tokens(uow: UnitOfWork, gone: list[UUID]) -> None:
    await uow.execute("SELECT delete_profile_tokens($1, $2, $3)", uow.community.organization_id, uow.community_id, gone)


_BLANK_MERGED = """
UPDATE profiles
SET external_id = NULL, updated_at = $3
WHERE community_id = $1 AND merged_into = $2
"""

# The columns that values and counts are computed from.
_RETAINED = [name for name in ("profile_id", *COLUMNS) if name in personal_data.retained_columns("profiles")]


async def anonymize(uow: UnitOfWork, profile_id: UUID) -> None:
    """Blanks what tells who a member is; no value and no count changes. Raises NotFoundError."""
    before = await lookup.fetch_one_for_update(uow, profile_id)
    same = await _with_merged(uow, profile_id)
    await _blank_responses(uow, same, await _transactions(uow, same))
    bare = Profile(**{name: getattr(before, name) for name in _RETAINED})
    comms = {name: each for name, each in before.consent_state.comms.items() if isinstance(each, bool)}
    await save(uow, [bare.with_consent_state(replace(before.consent_state, comms=comms).with_synced_comms())])
    await uow.execute(_BLANK_MERGED, uow.community_id, profile_id, uow.now)
    for statement in personal_data.depersonalize_statements():
        await uow.execute(statement, uow.community_id, same)
    await _purge_tokens(uow, same)
    uow.mark_member_dirty(profile_id, "profile.depersonalised")
