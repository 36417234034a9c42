"""Finds the profiles that a text describes: a name, an e-mail address, a phone number, an id, a card or a receipt."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from regulars.core import phones
from regulars.core.name_words import split_words
from regulars.storage import sql_files
from regulars.storage.database import Scope

MAX_TEXT_LENGTH = 255
MAX_MATCHES = 50
_MIN_EMAIL_LENGTH = 3
_LAST = "\U0010ffff"
"""Sorts after every letter, so that a text and the text with it are the range of its continuations."""

_SEARCH = sql_files.load("regulars.model.profiles", "search")


@dataclass(frozen=True, slots=True)
class Match:
    """A profile, and what of it the text matches, such as `name`."""

    profile_id: UUID
    matched: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matches:
    """The best matches, and whether there are more."""

    matches: Sequence[Match]
    has_more: bool


def is_id(text: str) -> bool:
    """Whether a text may be the id or the member id of a profile."""
    return _profile_id(text) is not None or _member_id(text) is not None


async def find_by_id(scope: Scope, text: str) -> Matches:
    """The profile with this id or member id, or the one that it was merged into."""
    return await _search(scope, 1, [_profile_id(text), _member_id(text), *[None] * 8, []])


async def find(scope: Scope, text: str, limit: int) -> Matches:
    """The profiles that a text describes, best first: by an id or a receipt, by words of the name, by the beginning of an
    e-mail address.

    Words are compared without case and accents, each with the beginning of a word of the name, in any order.
    """
    country = await scope.fetchval("SELECT country FROM communities WHERE id = $1", scope.community_id)
    email = text if len(text) >= _MIN_EMAIL_LENGTH and len(text.split()) == 1 else None
    # The longest word first, which the fewest names have.
    words = sorted(split_words(text), key=len, reverse=True)
    word, other, *more = words + [""] * (2 - len(words))
    return await _search(
        scope,
        limit,
        [
            _profile_id(text), _member_id(text), text, email, None if email is None else email + _LAST,
            phones.to_e164(text, country), word or None, word + _LAST, other, other + _LAST, more,
        ],
    )  # fmt: skip


async def _search(scope: Scope, limit: int, values: list[object]) -> Matches:
    rows = await scope.fetch(_SEARCH, scope.community_id, *values, limit + 1)
    found = [Match(row["profile_id"], tuple(row["matched"])) for row in rows]
    return Matches(found[:limit], len(found) > limit)


def _profile_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _member_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


_DETAILS = """
SELECT p.profile_id AS id, p.member_id, p.external_id, p.title, p.first_name, p.last_name,
       nullif(concat_ws(' ', p.first_name, p.last_name), '') AS full_name,
       p.email, p.mobile_phone, p.mobile_phone_e164, p.birth_year, p.profile_type, p.joined_at,
       coalesce(m.is_member, false) AS is_member
FROM profiles AS p
LEFT JOIN members AS m ON m.community_id = $1 AND m.profile_id = p.profile_id
WHERE p.community_id = $1 AND p.profile_id = ANY ($2)
"""

IMPERSONAL_FIELDS = ("id", "member_id", "profile_type", "joined_at", "is_member")
"""The fields of a found profile that neither name it nor lead to it."""


async def fetch_details(
    scope: Scope, profile_ids: Sequence[UUID], *, is_personal: bool
) -> dict[UUID, dict[str, object]]:
    """What identifies profiles to a person, by id; without `is_personal`, nulls in place of names and addresses."""
    rows = await scope.fetch(_DETAILS, scope.community_id, list(profile_ids))
    return {
        row["id"]: {name: value if is_personal or name in IMPERSONAL_FIELDS else None for name, value in row.items()}
        for row in rows
    }
