"""The names of what labels of groups identify by ids: communities, stores and offers."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.storage.database import Database

Names = Mapping[str, Mapping[Any, str]]
"""The name by id, by the key of the label."""

_TABLES = {
    "location": "locations",
    "location_id": "locations",
    "store_id": "locations",
    "favorite_store": "locations",
    "offer_id": "offers",
}


async def names_of_labels(database: Database, tenants: Sequence[Tenant], result: Mapping[str, Any]) -> Names:
    """The names of the ids in the labels of a result, as far as they have one."""
    ids: dict[str, set[int]] = {}
    for group in result.get("series") or result.get("statistics") or result.get("records", ()):
        for key, value in group.get("label", group).items():
            if key in _TABLES and isinstance(value, int):
                ids.setdefault(key, set()).add(value)
    names: dict[str, dict[Any, str]] = {
        key: {getattr(each, key): each.name for each in tenants} for key in ("community_id", "loyalty_club_id")
    }
    for key, found in ids.items():
        statement = (
            f"SELECT id, name FROM {_TABLES[key]} WHERE community_id = $1 AND id = ANY ($2) AND name IS NOT NULL"
        )
        named = names.setdefault(key, {})
        for tenant in tenants:
            async with database.read_transaction(tenant.community_id) as scope:
                named |= {
                    row["id"]: row["name"] for row in await scope.fetch(statement, scope.community_id, sorted(found))
                }
    return names
