"""Normalizes profiles that were stored before their fields were normalized on write."""

from functools import partial
from uuid import UUID

import msgspec

from regulars.core import phones
from regulars.ingest.commit import commit
from regulars.model.profiles import lookup, name_words
from regulars.model.profiles.gender import normalize_gender
from regulars.model.profiles.schema import Profile, with_consents
from regulars.model.profiles.write import save
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Database

PROFILES_PER_COMMIT = 1_000
"""Profiles that one commit locks, so that no other writer waits long."""

_NEXT = """
SELECT profile_id
FROM profiles
WHERE community_id = $1 AND profile_id > $2 AND deleted_at IS NULL
ORDER BY profile_id
LIMIT $3
"""

_NUMBERS = """
SELECT mobile_phone_e164 AS number
FROM profiles
WHERE community_id = $1 AND mobile_phone_e164 = ANY ($2) AND deleted_at IS NULL
"""


async def list_pending(database: Database) -> list[int]:
    """The ids of the communities with profiles that are not normalized."""
    async with database.unscoped_connection() as connection:
        rows = await connection.fetch("SELECT id FROM communities WHERE has_unnormalized_profiles ORDER BY id")
    return [row["id"] for row in rows]


async def normalize(database: Database, community_id: int) -> int:
    """Normalizes the phone numbers, genders and channel statuses of a community's profiles, and stores the words of their
    names; returns how many profiles changed.

    Commits part by part, and can be repeated after an interruption.
    """
    total = 0
    last: UUID | None = UUID(int=0)
    while last is not None:
        changed, last = await commit(database, community_id, partial(_normalize_part, after=last))
        total += changed
    return total


async def _normalize_part(uow: UnitOfWork, after: UUID) -> tuple[int, UUID | None]:
    ids = [row["profile_id"] for row in await uow.fetch(_NEXT, uow.community_id, after, PROFILES_PER_COMMIT)]
    stored = await lookup.fetch_for_update(uow, ids)
    changed = await _normalize(uow, [stored[each] for each in ids if each in stored])
    await save(uow, [(stored[each.profile_id], each) for each in changed])
    uow.mark_members_dirty((each.profile_id for each in changed), "profile.updated")
    await name_words.replace(uow, list(stored.values()))
    if len(ids) == PROFILES_PER_COMMIT:
        return len(changed), ids[-1]
    await uow.execute("UPDATE communities SET has_unnormalized_profiles = false WHERE id = $1", uow.community_id)
    return len(changed), None


async def _normalize(uow: UnitOfWork, profiles: list[Profile]) -> list[Profile]:
    numbers = {
        each.profile_id: phones.to_e164(each.mobile_phone, uow.community.country)
        for each in profiles
        if each.mobile_phone_e164 is None
    }
    rows = await uow.fetch(_NUMBERS, uow.community_id, sorted({each for each in numbers.values() if each is not None}))
    taken = {row["number"] for row in rows}
    changed = []
    for before in profiles:
        number = before.mobile_phone_e164 or numbers[before.profile_id]
        if before.mobile_phone_e164 is None and number in taken:
            # Two profiles have the number in different spellings: only the first one owns it.
            number = None
        taken |= {number} - {None}
        gender = None if before.gender is None else normalize_gender(before.gender)
        after = msgspec.structs.replace(before, mobile_phone_e164=number, gender=gender)
        after = with_consents(after, after.consent_state, after.consent_state)
        if after != before:
            changed.append(after)
    return changed
