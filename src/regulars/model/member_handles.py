"""The handles of identities that a member may write: none that is reserved, and only listed ones if there is a list."""

import unicodedata
from collections.abc import Sequence

from regulars.core import validation
from regulars.core.errors import field_error
from regulars.model.community import Community

RESERVED_HANDLES = ("id", "profile_id", "email", "external_id", "mobile_phone")
"""Handles that mean a profile's own fields: a member who wrote one could receive the facts of another member."""

_IGNORED = ("C", "Z", "M")
"""Unicode categories that are ignored: controls, formats, separators and marks, which are invisible or look alike."""


def normalize(handle: str) -> str:
    """A handle without differences of case, blanks, accents, invisible characters and compatible forms of letters."""
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", handle).casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter)[0] not in _IGNORED)


def rejection_reason(community: Community, handle: str) -> str | None:
    """Why a member of a community may not write identities with a handle; None where the member may."""
    if normalize(handle) in RESERVED_HANDLES:
        return f"is reserved: members can't write identities with the handle {', '.join(RESERVED_HANDLES)}"
    allowed = community.member_handles
    if allowed is None or handle in allowed:
        return None
    if not allowed:
        return "can't be written by members: this community lets them write no identities"
    return f"can't be written by members: this community lets them write {', '.join(sorted(allowed))}"


def validate(handles: Sequence[str]) -> list[str]:
    """The handles that a community lets members write. Raises ValidationError for an empty, overlong or reserved one."""
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
