"""The names of what labels of groups identify by ids: communities, stores and offers."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.storage.database import Database

Names = Mapping[str, Mapping[Any, str]]
"""The name by id, by the key of the label."""

TABLES = {
    "location": "locations",
    "location_id": "locations",
    "store_id": "locations",
    "favorite_store": "locations",
    "offer_id": "offers",
}
"""The table of the rows that an id of a label identifies."""


async def names_of_labels(database: Database, tenants: Sequence[Tenant], answer: Mapping[str, Any]) -> Names:
    """The names of the ids in the labels of an answer, as far as they have one."""
    communities = {
        key: {getattr(each, key): each.name for each in tenants} for key in ("community_id", "loyalty_club_id")
    }
    return {**communities, **await names_of_ids(database, tenants, ids_of_labels(answer))}


def ids_of_labels(answer: Mapping[str, Any]) -> Mapping[str, set[int]]:
    """The ids in the labels of an answer that may have names, by the key of the label."""
    ids: dict[str, set[int]] = {}
    for group in answer.get("series") or answer.get("statistics") or answer.get("records", ()):
        for key, value in group.get("label", group).items():
            if key in TABLES and isinstance(value, int):
                ids.setdefault(key, set()).add(value)
    return ids


async def names_of_ids(database: Database, tenants: Sequence[Tenant], ids: Mapping[str, set[int]]) -> Names:
    """The names of ids in the communities of some tenants, by the key of the label."""
    names: dict[str, dict[Any, str]] = {}
    for key, found in ids.items():
        statement = f"SELECT id, name FROM {TABLES[key]} WHERE community_id = $1 AND id = ANY ($2) AND name IS NOT NULL"
        named = names.setdefault(key, {})
        for tenant in tenants:
            async with database.read_transaction(tenant.community_id) as scope:
                rows = await scope.fetch(statement, scope.community_id, sorted(found))
                named |= {row["id"]: row["name"] for row in rows}
    return names
