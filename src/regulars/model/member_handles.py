"""The handles of identities that members may write: those that the community lists, or all but the reserved ones."""

import unicodedata
from collections.abc import Sequence

from regulars.core import validation
from regulars.core.errors import field_error
from regulars.model.community import Community

RESERVED_HANDLES = ("id", "profile_id", "email", "external_id", "mobile_phone")
"""Handles that name a profile's own fields: a member who wrote one could receive the data of another member."""

_IGNORED = ("C", "Z", "M")
"""Unicode categories that are ignored: controls, formats, separators and combining marks."""


def normalize(handle: str) -> str:
    """Normalizes a handle: no case, blanks, accents, invisible characters or compatibility forms of letters."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", handle).casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter)[0] not in _IGNORED)


def rejection_reason(community: Community, handle: str) -> str | None:
    """The reason why a member of a community may not write identities with a handle, or None."""
    if normalize(handle) in RESERVED_HANDLES:
        return f"is reserved: members can't write identities with the handle {', '.join(RESERVED_HANDLES)}"
    allowed = community.member_handles
    if allowed is None or handle in allowed:
        return None
    if not allowed:
        return "can't be written by members: this community lets them write no identities"
    return f"can't be written by members: this community lets them write {', '.join(sorted(allowed))}"


def validate(handles: Sequence[str]) -> list[str]:
    """Validates the handles that a community lets members write, and sorts them. Raises ValidationError."""
    for handle in handles:
        try:
            if not validation.check_code(handle):
                raise ValueError("must not be empty")
        except ValueError as error:
            raise field_error("member_handle", str(error)) from None
        if normalize(handle) in RESERVED_HANDLES:
            raise field_error(
                "member_handle", f"{handle!r} is reserved: members never write {', '.join(RESERVED_HANDLES)}"
            )
    return sorted(set(handles))
