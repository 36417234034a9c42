"""What can be loaded in bulk: the columns of each entity, the check of a row, and how rows are put."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from msgspec import UnsetType

from regulars.core import timestamps
from regulars.core.errors import ValidationError, field_error, from_msgspec
from regulars.facts import (
    link_visits,
    offer_collections,
    offer_events,
    offers,
    sending_events,
    sendings,
    write_link_visits,
    write_sending_events,
)
from regulars.facts import write_offer_events as happened
from regulars.loading.readers.columns import CellEncoding, Columns
from regulars.loading.transaction_lines import TransactionLine
from regulars.model import locations, memberships
from regulars.model.community import Community, NewCommunity
from regulars.model.products import products
from regulars.model.profiles import profiles, schema
from regulars.model.profiles.schema import ProfileIn
from regulars.model.unit_of_work import UnitOfWork

T = TypeVar("T")

RowOutcome = str | ValidationError
"""`loaded`, `unchanged`, or why not."""

WriteEntityRows = Callable[[UnitOfWork, Sequence[Any]], Awaitable[Sequence[RowOutcome]]]


@dataclass(frozen=True, slots=True)
class LoadableEntity:
    """One kind of fact: its columns, and how a row is checked, which raises Refused by path."""

    columns: Columns
    validate: Callable[[Any, Community], Any]

    def parse(self, content: bytes, community: Community) -> Any:
        """A row from its JSON object, held to its rules. Raises Refused by path."""
        return self.validate(_fitting(content, self.columns.row_type), community)


def _fitting(content: bytes, shape: type[T]) -> T:
    try:
        return msgspec.json.decode(content, type=shape, strict=False)
    except msgspec.ValidationError as error:
        raise from_msgspec(error) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise ValidationError({"": f"is no JSON: {error}"}) from None


def _with_external_id(checked: Callable[[Any], Any]) -> Callable[[Any, Community], Any]:
    def check(given: Any, community: Community) -> Any:
        row = checked(given)
        if row.external_id is None:
            raise field_error("external_id", "is required: it tells a row that comes again from a new one")
        return row

    return check


def _in_utc(text: str | UnsetType | None, community: Community) -> str | UnsetType | None:
    """A time of a file: without an offset it is the community's. What is no time is left to the check."""
    if not isinstance(text, str):
        return text
    try:
        at = timestamps.parse_timestamp(text)
        naive = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (at if naive.tzinfo else timestamps.local_to_utc(naive, community.timezone)).isoformat()


def _profile(given: ProfileIn, community: Community) -> Any:
    local = msgspec.structs.replace(given, joined_at=_in_utc(given.joined_at, community))
    return _with_external_id(schema.validate)(local, community)


def _membership(given: memberships.MembershipIn, community: Community) -> memberships.MembershipRow:
    return memberships.validate(msgspec.structs.replace(given, at=_in_utc(given.at, community)))


def _sending(given: sendings.SendingIn, community: Community) -> sendings.SendingRow:
    return sendings.validate(msgspec.structs.replace(given, created_at=_in_utc(given.created_at, community)))


def _sending_event(given: sending_events.SendingEventIn, community: Community) -> sending_events.SendingEventRow:
    return sending_events.validate(given, community.timezone)


def _link_visit(given: link_visits.LinkVisitIn, community: Community) -> link_visits.LinkVisitRow:
    return link_visits.validate(given, community.timezone)


def _offer_collection(given: offer_collections.OfferCollectionIn, community: Community) -> Mapping[str, Any]:
    return offer_collections.validate(given)


def _offer(given: offers.OfferIn, community: Community) -> Mapping[str, Any]:
    return offers.validate(given, community.timezone)


def _offer_event(given: offer_events.OfferEventIn, community: Community) -> offer_events.OfferEventRow:
    return offer_events.validate(given, community.timezone)


TRANSACTION_COLUMNS = Columns(
    TransactionLine,
    (("external_id",), ("profile", "profile_id"), ("transacted_at",), ("total",)),
    {"location": CellEncoding.TEXT_OR_JSON, "tags": CellEncoding.LIST, "payments": CellEncoding.LIST},
)
"""The columns of transactions, whose rows may have to be put together first."""

ENTITIES: Mapping[str, LoadableEntity] = {
    "locations": LoadableEntity(
        Columns(locations.LocationIn, (("external_id",),), {}), _with_external_id(locations.validate)
    ),
    "products": LoadableEntity(
        Columns(products.ProductIn, (("external_id",),), {}), _with_external_id(products.validate)
    ),
    "profiles": LoadableEntity(Columns(ProfileIn, (("external_id",),), {}), _profile),
    "memberships": LoadableEntity(
        Columns(memberships.MembershipIn, (("profile",), ("type",), ("at",)), {}), _membership
    ),
    "sendings": LoadableEntity(Columns(sendings.SendingIn, (("external_id",), ("channel",)), {}), _sending),
    "sending_events": LoadableEntity(
        Columns(
            sending_events.SendingEventIn,
            (("external_id",), ("sending",), ("dispatch", "profile"), ("event",), ("at",)),
            {},
        ),
        _sending_event,
    ),
    "link_visits": LoadableEntity(
        Columns(link_visits.LinkVisitIn, (("external_id",), ("url", "host"), ("at",)), {}), _link_visit
    ),
    "offer_collections": LoadableEntity(
        Columns(offer_collections.OfferCollectionIn, (("external_id",),), {}), _offer_collection
    ),
    "offers": LoadableEntity(Columns(offers.OfferIn, (("external_id",),), {}), _offer),
    "offer_events": LoadableEntity(
        Columns(offer_events.OfferEventIn, (("external_id",), ("offer",), ("event",), ("at",)), {}), _offer_event
    ),
}
"""What is loaded into one community row by row, by name."""

WRITERS: Mapping[str, WriteEntityRows] = {
    "locations": locations.upsert_many,
    "products": products.upsert_many,
    "profiles": profiles.upsert_many,
    "memberships": memberships.upsert_many,
    "sendings": sendings.upsert_many,
    "sending_events": write_sending_events.write_many,
    "link_visits": write_link_visits.write_many,
    "offer_collections": offer_collections.upsert_many,
    "offers": offers.upsert_many,
    "offer_events": happened.write_many,
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


COMMUNITY_COLUMNS = Columns(CommunityIn, (("slug",), ("name",), ("country",), ("timezone",), ("currency",)), {})
"""The columns of communities."""


def parse_community(content: bytes) -> NewCommunity:
    """A community from its JSON object. Raises Refused by path."""
    return NewCommunity(**msgspec.structs.asdict(_fitting(content, CommunityIn)))


ENTITY_NAMES = ("communities", *ENTITIES, "transactions")
"""All that can be loaded, in the order in which one needs the other."""


def columns_of(entity: str) -> Columns:
    """The columns of an entity by name. Raises KeyError where there is none of that name."""
    others = {"communities": COMMUNITY_COLUMNS, "transactions": TRANSACTION_COLUMNS}
    return others[entity] if entity in others else ENTITIES[entity].columns
