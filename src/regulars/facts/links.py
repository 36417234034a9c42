"""Links: addresses that sendings, offers and other sources lead to. A link is created by its first visit."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from uuid import UUID

import msgspec

from regulars.core.urls import UTM_PARAMETERS
from regulars.core.validation import hash_key
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

SOURCE_TYPES = ("sending", "offer", "other")
"""What may lead to a link."""


@dataclass(frozen=True, slots=True)
class Link:
    """The address and source by which visits are counted.

    `source` is the external id of the sending or offer. `utm` has the values of UTM_PARAMETERS, in their order. The
    stored key of a link is a hash of these fields in their order.
    """

    source_type: str
    source: str | None
    host: str
    path: str
    utm: tuple[str | None, ...]


_COLUMNS = {
    "link_hash": "uuid",
    "source_type": "text",
    "sending_id": "bigint",
    "offer_external_id": "text",
    "host": "text",
    "path": "text",
    **dict.fromkeys(UTM_PARAMETERS, "text"),
}

_SELECT_IDS = "SELECT id, link_hash FROM links WHERE community_id = $1 AND link_hash = ANY ($2::text::uuid[])"

_INSERT = f"""
INSERT INTO links (community_id, {", ".join(_COLUMNS)})
SELECT $1, {", ".join(_COLUMNS)}
FROM unnest({", ".join(f"${n}::text::{type_}[]" for n, type_ in enumerate(_COLUMNS.values(), 2))})
    AS input ({", ".join(_COLUMNS)})
RETURNING id, link_hash
"""


async def get_or_create_ids(
    uow: UnitOfWork, links: Collection[Link], sending_ids: Mapping[str, int]
) -> dict[Link, int]:
    """The ids of links; missing ones are created. `sending_ids` has the ids of their sendings by external id.

    The caller has locked the community's visits.
    """
    hashes = {link: _hash(link) for link in links}
    rows = await uow.fetch(_SELECT_IDS, uow.community_id, array_literal(list(hashes.values())))
    ids: dict[UUID, int] = {row["link_hash"]: row["id"] for row in rows}
    if missing := {hashed: link for link, hashed in hashes.items() if hashed not in ids}:
        columns = zip(*(_to_columns(link, hashed, sending_ids) for hashed, link in missing.items()), strict=True)
        inserted = await uow.fetch(_INSERT, uow.community_id, *map(array_literal, columns))
        ids |= {row["link_hash"]: row["id"] for row in inserted}
    return {link: ids[hashed] for link, hashed in hashes.items()}


def _hash(link: Link) -> UUID:
    return hash_key(msgspec.json.encode(link).decode())


def _to_columns(link: Link, hashed: UUID, sending_ids: Mapping[str, int]) -> tuple[object, ...]:
    sending_id = sending_ids[link.source] if link.source_type == "sending" and link.source is not None else None
    offer = link.source if link.source_type == "offer" else None
    return hashed, link.source_type, sending_id, offer, link.host, link.path, *link.utm
