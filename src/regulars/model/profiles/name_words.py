"""The words by which active profiles are found by name, written when a name changes."""

from collections.abc import Iterable, Sequence

from regulars.core.name_words import split_words, word_pairs
from regulars.model.profiles.schema import Profile
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

_INSERT = """
INSERT INTO profile_name_words (community_id, word, other_word, profile_id)
SELECT $1, word, other_word, profile_id
FROM unnest($2::text::text[], $3::text::text[], $4::text::uuid[]) AS input (word, other_word, profile_id)
"""

_DELETE = "DELETE FROM profile_name_words WHERE community_id = $1 AND profile_id = ANY ($2)"


async def insert(uow: UnitOfWork, profiles: Iterable[Profile]) -> None:
    """Stores the words of new profiles."""
    rows = [(*pair, each.profile_id) for each in profiles for pair in word_pairs(_searched_words(each))]
    if rows:
        await uow.execute(_INSERT, uow.community_id, *map(array_literal, zip(*rows, strict=True)))


async def replace(uow: UnitOfWork, profiles: Sequence[Profile]) -> None:
    """Stores the words of profiles in place of those that are stored."""
    await uow.execute(_DELETE, uow.community_id, [each.profile_id for each in profiles])
    await insert(uow, profiles)


async def update(uow: UnitOfWork, changes: Iterable[tuple[Profile, Profile]]) -> None:
    """Stores the words of the profiles whose names have changed, or that were deleted or restored."""
    renamed = [after for before, after in changes if _name(before) != _name(after)]
    if renamed:
        await replace(uow, renamed)


def _name(profile: Profile) -> tuple[str | None, str | None] | None:
    return None if profile.deleted_at is not None else (profile.first_name, profile.last_name)


def _searched_words(profile: Profile) -> tuple[str, ...]:
    return split_words(*(_name(profile) or ()))
