"""What can be loaded in bulk: the columns of each entity, the check of a row, and how many rows are put."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.facts import instants, locations, memberships, products, profile_lookup, profiles
from regulars.facts.community import Community
from regulars.facts.profile_rows import ProfileIn
from regulars.facts.refusals import Refused, misfit, refuse
from regulars.facts.writing import Writing
from regulars.ingest.columns import Cell, Columns
from regulars.ingest.transaction_lines import TransactionLine

Outcome = str | Refused
"""`loaded`, `unchanged`, or why not."""

Put = Callable[[Writing, Sequence[Any]], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of fact: how a row is decoded and checked, and how rows are put.

    `checked` raises Refused by path.
    """

    name: str
    columns: Columns
    checked: Callable[[Any, Community], Any]
    put: Put

    def decoded(self, content: bytes, community: Community) -> Any:
        """A row from its JSON object, held to its rules. Raises Refused by path."""
        try:
            given = msgspec.json.decode(content, type=self.columns.shape, strict=False)
        except msgspec.ValidationError as error:
            raise misfit(error) from None
        except msgspec.DecodeError as error:
            raise Refused({"": f"is no JSON: {error}"}) from None
        return self.checked(given, community)


def _with_external_id(checked: Callable[[Any], Any]) -> Callable[[Any, Community], Any]:
    def check(given: Any, community: Community) -> Any:
        row = checked(given)
        if row.external_id is None:
            raise refuse("external_id", "is required: it tells a row that comes again from a new one")
        return row

    return check


def _in_utc(text: str | UnsetType | None, community: Community) -> str | UnsetType | None:
    """A time of a file: without an offset it is the community's. What is no time is left to the check."""
    if not isinstance(text, str):
        return text
    try:
        at = instants.instant(text)
        naive = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if naive.tzinfo else instants.local_instant(naive, community.timezone)).isoformat()


def _profile(given: ProfileIn, community: Community) -> Any:
    local = msgspec.structs.replace(given, joined_at=_in_utc(given.joined_at, community))
    return _with_external_id(profiles.checked)(local, community)


def _membership(given: memberships.MembershipIn, community: Community) -> memberships.MembershipRow:
    return memberships.checked(msgspec.structs.replace(given, at=_in_utc(given.at, community)))


async def _put_memberships(writing: Writing, rows: Sequence[memberships.MembershipRow]) -> Sequence[Outcome]:
    refs = {(profile_lookup.EITHER, row.profile) for row in rows}
    found = await profile_lookup.resolve(writing, refs)
    return await memberships.put_known(writing, rows, {name: each for (_, name), each in found.items()})


TRANSACTIONS = Columns(
    TransactionLine,
    (("external_id",), ("profile", "profile_id"), ("transacted_at",), ("total",)),
    {"location": Cell.EITHER, "tags": Cell.LIST, "payments": Cell.LIST},
)
"""The columns of transactions, whose rows may have to be put together first."""

ENTITIES: Mapping[str, Entity] = {
    each.name: each
    for each in (
        Entity(
            "locations",
            Columns(locations.LocationIn, (("external_id",),), {}),
            _with_external_id(locations.checked),
            locations.put_many,
        ),
        Entity(
            "products",
            Columns(products.ProductIn, (("external_id",),), {}),
            _with_external_id(products.checked),
            products.put_many,
        ),
        Entity("profiles", Columns(ProfileIn, (("external_id",),), {}), _profile, profiles.put_many),
        Entity(
            "memberships",
            Columns(memberships.MembershipIn, (("profile",), ("type",), ("at",)), {}),
            _membership,
            _put_memberships,
        ),
    )
}
"""What is put by one statement or a few a batch, by name."""

NAMES = ("communities", *ENTITIES, "transactions")
"""All that can be loaded, in the order in which one needs the other."""


class CommunityIn(msgspec.Struct, frozen=True, kw_only=True):
    """A community as a row of a file."""

    slug: str
    name: str
    country: str
    timezone: str
    currency: str
    organization: str = ""
    attributes: dict[str, str] | None | UnsetType = UNSET
    id: int | None = None
    customer_id: int | None = None
    loyalty_club_id: int | None = None


COMMUNITIES = Columns(CommunityIn, (("slug",), ("name",), ("country",), ("timezone",), ("currency",)), {})
"""The columns of communities."""
