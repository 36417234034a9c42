"""What can be loaded: communities, and all fact types whose rows have a schema."""

from dataclasses import replace

import msgspec

from regulars.core.row_decoding import decode_row
from regulars.facts.columns import Columns
from regulars.facts.registry import FACT_TYPES
from regulars.file_dialects.options import DETECT, DialectError, DialectOptions
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
    void_statuses: list[str] | None = None


_community_decoder = msgspec.json.Decoder(CommunityIn, strict=False)

COMMUNITY_COLUMNS = Columns(CommunityIn, (("slug",), ("name",), ("country",), ("timezone",), ("currency",)), {})
"""The columns of communities."""


def parse_community(content: bytes) -> NewCommunity:
    """A community from its JSON object. Raises ValidationError by path."""
    return NewCommunity(**msgspec.structs.asdict(decode_row(content, _community_decoder)))


def loadable_names() -> tuple[str, ...]:
    """The names of all that can be loaded, in an order in which each can be loaded after those before it."""
    return (COMMUNITIES, *(each.name for each in FACT_TYPES.loadable()))


def columns_of(name: str, options: DialectOptions = DETECT) -> Columns:
    """The columns of files by the name of what they hold, under the names that the options state.

    Raises KeyError if it can't be loaded, DialectError for the name of a column that does not exist.
    """
    schema = None if name == COMMUNITIES else FACT_TYPES[name].schema
    if name != COMMUNITIES and schema is None:
        raise KeyError(name)
    columns = COMMUNITY_COLUMNS if schema is None else schema.columns
    names = options.columns_of(name)
    if unknown := sorted(names.keys() - columns.encodings.keys()):
        raise DialectError("column", f"{unknown[0]!r} is no column of {name}. Allowed: {', '.join(columns.encodings)}")
    return replace(columns, names=names) if names else columns
