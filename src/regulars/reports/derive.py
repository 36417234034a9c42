"""Keeps true who is a member and as what, in the transaction of the facts that say so."""

from collections.abc import Collection
from importlib.resources import files
from typing import Any
from uuid import UUID

from regulars.facts.community import Community
from regulars.storage.database import Scope

PERSONAL = (
    "title", "name", "firstname", "middlename", "lastname", "fullname", "surname", "email", "mail", "emailaddress",
    "phone", "phonenumber", "mobile", "mobilephone", "telephone", "cellphone", "birthday", "birthdate", "dateofbirth",
    "dob", "address", "address1", "address2", "addressline1", "addressline2", "addressline3", "street",
    "streetaddress", "postcode", "postalcode", "zip", "zipcode",
)  # fmt: skip
"""Properties that tell who somebody is, in small letters and digits alone: they stay out of all reports."""

_DERIVE = (files("regulars.reports") / "derive.sql").read_text()


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def personal(community: Community) -> list[str]:
    """The properties that stay out of a community's reports, as they are compared: its attribute `personal` names
    more, in a list or parted by commas.
    """
    more: Any = community.attributes.get("personal") or ()
    names = more.split(",") if isinstance(more, str) else more
    return sorted({*PERSONAL, *(_plain(str(each)) for each in names)})


async def derive(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> int:
    """Derives anew who of these profiles is a member, and appends what that changes in counts and balance.

    Gives how many rows were appended. The caller holds the profiles' locks since an earlier statement.
    """
    moves: int = await scope.fetchval(
        _DERIVE, scope.community_id, sorted(profile_ids), scope.now, community.timezone, personal(community)
    )
    return moves
