"""Keeps true who is a member and as what, in the transaction of the facts that say so."""

from collections.abc import Collection
from importlib.resources import files
from operator import attrgetter
from typing import Any
from uuid import UUID

from regulars.model.community import Community
from regulars.storage.database import Scope

PERSONAL_PROPERTIES = (
    "title", "name", "firstname", "middlename", "lastname", "fullname", "surname", "email", "mail", "emailaddress",
    "phone", "phonenumber", "mobile", "mobilephone", "telephone", "cellphone", "birthday", "birthdate", "dateofbirth",
    "dob", "address", "address1", "address2", "addressline1", "addressline2", "addressline3", "street",
    "streetaddress", "postcode", "postalcode", "zip", "zipcode",
)  # fmt: skip
"""Properties that tell who somebody is, in small letters and digits alone: they stay out of all reports."""


def _part(name: str) -> str:
    return (files("regulars.rollups") / f"{name}.sql").read_text()


_DERIVE = _part("derive") + _part("derive_appended") + _part("derive_kept")

# In place of what is appended for the folder: every change as it is goes into tables of the transaction.
_COLLECTED = """
group_moves AS (
    INSERT INTO pg_temp.moved_groups (groups, at, n)
    SELECT groups, since, sign FROM stood WHERE since < until AND groups <> '{}'
    UNION ALL
    SELECT groups, until, -sign FROM stood WHERE since < until AND until < 'infinity' AND groups <> '{}'
    RETURNING 1
),
balance_moves AS (
    INSERT INTO pg_temp.moved_joins (
        n, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    )
    SELECT 1, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    FROM events
    WHERE is_told
    UNION ALL
    SELECT -1, at, type, optin_channel, optin_subchannel, optin_platform, gender, age, consents_true, consents_false
    FROM told
    WHERE is_told
    RETURNING 1
),
"""
_COLLECT = _part("derive") + _COLLECTED + _part("derive_kept")

_MAKE_COLLECTED = """
CREATE TEMPORARY TABLE moved_groups (groups text[], at timestamptz, n bigint) ON COMMIT DROP;
CREATE TEMPORARY TABLE moved_joins (
    n bigint, at timestamptz, type text, optin_channel text, optin_subchannel text, optin_platform text, gender text,
    age text, consents_true text[], consents_false text[]
) ON COMMIT DROP
"""


def normalize_property_name(name: str) -> str:
    """The name of a property as it is compared: small letters and digits alone."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


def personal_properties(community: Community) -> list[str]:
    """The properties that stay out of a community's reports, as they are compared: its attribute `personal` names
    more, in a list or parted by commas.
    """
    more: Any = community.attributes.get("personal") or ()
    names = more.split(",") if isinstance(more, str) else more
    return sorted({*PERSONAL_PROPERTIES, *(normalize_property_name(str(each)) for each in names)})


async def recompute(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> int:
    """Derives anew who of these profiles is a member, and appends what that changes in counts and balance.

    Gives how many rows were appended. The caller holds the profiles' locks since an earlier statement.
    """
    moves: int = await scope.fetchval(_DERIVE, *_asked(scope, community, profile_ids))
    return moves


async def stage_deltas(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> None:
    """Derives as `derive` does, but appends nothing: what changes is in tables of this transaction, for the caller to
    add up before it commits. `moved_groups` has how many stand in groups from an instant on, `moved_joins` who came
    and went; taken back is what is counted below zero.
    """
    await scope.execute(_MAKE_COLLECTED)
    await scope.execute(_COLLECT, *_asked(scope, community, profile_ids))


def _asked(scope: Scope, community: Community, profile_ids: Collection[UUID]) -> tuple[object, ...]:
    in_order = sorted(profile_ids, key=attrgetter("int"))
    return scope.community_id, in_order, scope.now, community.timezone, personal_properties(community)
