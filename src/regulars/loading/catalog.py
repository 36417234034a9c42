"""What can be loaded: communities, and all fact types whose rows have a schema."""

from dataclasses import replace

import msgspec

from regulars.core.time_forms import forms_of
from regulars.facts.columns import Columns
from regulars.facts.fact_type import decode_row
from regulars.facts.registry import FACT_TYPES
from regulars.model.community import NewCommunity

COMMUNITIES = "communities"


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
    """A community from its JSON object. Raises ValidationError by path."""
    return NewCommunity(**msgspec.structs.asdict(decode_row(content, CommunityIn)))


def loadable_names() -> tuple[str, ...]:
    """The names of all that can be loaded, in an order in which each can be loaded after those before it."""
    return (COMMUNITIES, *(each.name for each in FACT_TYPES.loadable()))


def columns_of(name: str, date_format: str | None = None) -> Columns:
    """The columns of files by the name of what they hold; with `date_format`, times in text have this format.

    Raises KeyError if it can't be loaded, ValueError for an invalid format.
    """
    if name == COMMUNITIES:
        return COMMUNITY_COLUMNS
    schema = FACT_TYPES[name].schema
    if schema is None:
        raise KeyError(name)
    return schema.columns if date_format is None else replace(schema.columns, time_forms=forms_of(date_format))
