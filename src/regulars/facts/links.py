"""Links: addresses that sendings, offers and others lead to, each made when it is first visited."""

from collections.abc import Collection, Mapping
from uuid import UUID

import msgspec

from regulars.core.urls import UTM_PARAMETERS
from regulars.core.validation import hash_key
from regulars.facts.link_visits import Link
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.array_literals import array_literal

_BY_KEY = "SELECT id, key FROM links WHERE community_id = $1 AND key = ANY ($2::text::uuid[])"

_COLUMNS = {
    "key": "uuid",
    "source_type": "text",
    "sending_id": "bigint",
    "offer": "text",
    "host": "text",
    "path": "text",
    **dict.fromkeys(UTM_PARAMETERS, "text"),
}

_ADD = f"""
INSERT INTO links (community_id, {", ".join(_COLUMNS)})
SELECT $1, {", ".join(_COLUMNS)}
FROM unnest({", ".join(f"${n}::text::{kind}[]" for n, kind in enumerate(_COLUMNS.values(), 2))})
    AS given ({", ".join(_COLUMNS)})
RETURNING id, key
"""


async def get_or_create_ids(
    uow: UnitOfWork, links: Collection[Link], sending_ids: Mapping[str, int]
) -> dict[Link, int]:
    """The ids of links; those that are not there yet are made. `sending_ids` are their sendings by external id.

    The caller is alone at the community's visits.
    """
    keys = {link: _key(link) for link in links}
    rows = await uow.fetch(_BY_KEY, uow.community_id, array_literal(list(keys.values())))
    found: dict[UUID, int] = {row["key"]: row["id"] for row in rows}
    if missing := {key: link for link, key in keys.items() if key not in found}:
        columns = zip(*(_columns(link, key, sending_ids) for key, link in missing.items()), strict=True)
        added = await uow.fetch(_ADD, uow.community_id, *map(array_literal, columns))
        found |= {row["key"]: row["id"] for row in added}
    return {link: found[key] for link, key in keys.items()}


def _key(link: Link) -> UUID:
    return hash_key(msgspec.json.encode(link).decode())


def _columns(link: Link, key: UUID, sending_ids: Mapping[str, int]) -> tuple[object, ...]:
    sending_id = sending_ids[link.source] if link.source_type == "sending" and link.source is not None else None
    offer = link.source if link.source_type == "offer" else None
    return key, link.source_type, sending_id, offer, link.host, link.path, *link.utm
