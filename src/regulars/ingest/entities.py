"""What can be loaded in bulk: the columns of each entity, the check of a row, and how rows are put."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from regulars.facts import (
    instants,
    link_visits,
    locations,
    memberships,
    offer_collections,
    offer_events,
    offers,
    products,
    profile_rows,
    profiles,
    sending_events,
    sendings,
)
from regulars.facts.community import Community, NewCommunity
from regulars.facts.profile_rows import ProfileIn
from regulars.facts.refusals import Refused, misfit, refuse
from regulars.facts.writing import Writing
from regulars.ingest import messages, visits
from regulars.ingest import offer_events as happened
from regulars.ingest.columns import Cell, Columns
from regulars.ingest.transaction_lines import TransactionLine

T = TypeVar("T")

Outcome = str | Refused
"""`loaded`, `unchanged`, or why not."""

Put = Callable[[Writing, Sequence[Any]], Awaitable[Sequence[Outcome]]]


@dataclass(frozen=True, slots=True)
class Entity:
    """One kind of fact: its columns, and how a row is checked, which raises Refused by path."""

    columns: Columns
    checked: Callable[[Any, Community], Any]

    def decoded(self, content: bytes, community: Community) -> Any:
        """A row from its JSON object, held to its rules. Raises Refused by path."""
        return self.checked(_fitting(content, self.columns.shape), community)


def _fitting(content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape, strict=False)
    except msgspec.ValidationError as error:
        raise misfit(error) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused({"": f"is no JSON: {error}"}) from None


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
    return _with_external_id(profile_rows.checked)(local, community)


def _membership(given: memberships.MembershipIn, community: Community) -> memberships.MembershipRow:
    return memberships.checked(msgspec.structs.replace(given, at=_in_utc(given.at, community)))


def _sending(given: sendings.SendingIn, community: Community) -> sendings.SendingRow:
    return sendings.checked(msgspec.structs.replace(given, created_at=_in_utc(given.created_at, community)))


def _sending_event(given: sending_events.SendingEventIn, community: Community) -> sending_events.SendingEventRow:
    return sending_events.checked(given, community.timezone)


def _link_visit(given: link_visits.LinkVisitIn, community: Community) -> link_visits.LinkVisitRow:
    return link_visits.checked(given, community.timezone)


def _offer_collection(given: offer_collections.OfferCollectionIn, community: Community) -> Mapping[str, Any]:
    return offer_collections.checked(given)


def _offer(given: offers.OfferIn, community: Community) -> Mapping[str, Any]:
    return offers.checked(given, community.timezone)


def _offer_event(given: offer_events.OfferEventIn, community: Community) -> offer_events.OfferEventRow:
    return offer_events.checked(given, community.timezone)


TRANSACTIONS = Columns(
    TransactionLine,
    (("external_id",), ("profile", "profile_id"), ("transacted_at",), ("total",)),
    {"location": Cell.EITHER, "tags": Cell.LIST, "payments": Cell.LIST},
)
"""The columns of transactions, whose rows may have to be put together first."""

ENTITIES: Mapping[str, Entity] = {
    "locations": Entity(Columns(locations.LocationIn, (("external_id",),), {}), _with_external_id(locations.checked)),
    "products": Entity(Columns(products.ProductIn, (("external_id",),), {}), _with_external_id(products.checked)),
    "profiles": Entity(Columns(ProfileIn, (("external_id",),), {}), _profile),
    "memberships": Entity(Columns(memberships.MembershipIn, (("profile",), ("type",), ("at",)), {}), _membership),
    "sendings": Entity(Columns(sendings.SendingIn, (("external_id",), ("channel",)), {}), _sending),
    "sending_events": Entity(
        Columns(
            sending_events.SendingEventIn,
            (("external_id",), ("sending",), ("dispatch", "profile"), ("event",), ("at",)),
            {},
        ),
        _sending_event,
    ),
    "link_visits": Entity(
        Columns(link_visits.LinkVisitIn, (("external_id",), ("url", "host"), ("at",)), {}), _link_visit
    ),
    "offer_collections": Entity(
        Columns(offer_collections.OfferCollectionIn, (("external_id",),), {}), _offer_collection
    ),
    "offers": Entity(Columns(offers.OfferIn, (("external_id",),), {}), _offer),
    "offer_events": Entity(
        Columns(offer_events.OfferEventIn, (("external_id",), ("offer",), ("event",), ("at",)), {}), _offer_event
    ),
}
"""What is loaded into one community row by row, by name."""

PUTS: Mapping[str, Put] = {
    "locations": locations.put_many,
    "products": products.put_many,
    "profiles": profiles.put_many,
    "memberships": memberships.put_many,
    "sendings": sendings.put_many,
    "sending_events": messages.put_many,
    "link_visits": visits.put_many,
    "offer_collections": offer_collections.put_many,
    "offers": offers.put_many,
    "offer_events": happened.put_many,
}
"""How rows of an entity are put, as one set."""


class CommunityIn(msgspec.Struct, frozen=True, kw_only=True):
    """A community as a row of a file."""

    slug: str
    name: str
    country: str
    timezone: str
    currency: str
    organization: str = ""
    attributes: dict[str, str] | None = None
    id: int | None = None
    customer_id: int | None = None
    loyalty_club_id: int | None = None


COMMUNITIES = Columns(CommunityIn, (("slug",), ("name",), ("country",), ("timezone",), ("currency",)), {})
"""The columns of communities."""


def community(content: bytes) -> NewCommunity:
    """A community from its JSON object. Raises Refused by path."""
    return NewCommunity(**msgspec.structs.asdict(_fitting(content, CommunityIn)))


NAMES = ("communities", *ENTITIES, "transactions")
"""All that can be loaded, in the order in which one needs the other."""


def columns_of(entity: str) -> Columns:
    """The columns of an entity by name. Raises KeyError where there is none of that name."""
    others = {"communities": COMMUNITIES, "transactions": TRANSACTIONS}
    return others[entity] if entity in others else ENTITIES[entity].columns
