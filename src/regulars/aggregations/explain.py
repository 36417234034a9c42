"""Why a value is what it is: the transactions that made it, or the other facts that it follows from."""

from datetime import datetime
from functools import cache
from typing import Any
from uuid import UUID

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.compiler import build_ctes
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import POSTGRESQL
from regulars.core.timestamps import format_timestamp
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.storage.database import Scope

MAX_TRANSACTIONS = 1000


@cache
def explain_statement(name: str) -> str:
    """The ids of the transactions that made a value, in order, and how many there are."""
    body, last = build_ctes(REGISTRY, POSTGRESQL)
    return f"""
WITH {body},
marked AS (
    SELECT history.*,
           max(n) OVER () AS last_n,
           max(n) FILTER (WHERE is_sale) OVER () AS last_sale_n,
           min(n) FILTER (WHERE is_sale AND location_id IS NOT NULL) OVER () AS first_location_n,
           max(n) FILTER (WHERE is_sale AND location_id IS NOT NULL) OVER () AS last_location_n,
           EXISTS (
               SELECT FROM transaction_items AS item
               LEFT JOIN products ON products.community_id = $1 AND products.id = item.product_id
               LEFT JOIN brands ON brands.community_id = $1 AND brands.id = products.brand_id
               WHERE item.community_id = $1
                 AND item.transaction_id = history.id
                 AND NOT item.is_void
                 AND item.quantity > 0
                 AND coalesce(brands.name, item.brand) IS NOT NULL
           ) AS has_brand,
           EXISTS (
               SELECT FROM locations AS place
               WHERE place.location_id = history.location_id AND place.country IS NOT NULL
           ) AS has_country
    FROM history
)
SELECT marked.id, count(*) OVER () AS total
FROM marked
JOIN {last} AS value ON value.k = marked.k
WHERE {REGISTRY.by_name[name].explain_filter}
ORDER BY marked.n
LIMIT {MAX_TRANSACTIONS}
"""


_MEMBER = """
SELECT joined_at, joined_location_id, preferred_location_id,
       (
           SELECT coalesce(
               json_agg(
                   json_build_object(
                       'id', id, 'country', country, 'iso_state', iso_state, 'state', state, 'is_default', is_default
                   ) ORDER BY id
               ),
               '[]'
           )
           FROM addresses
           WHERE addresses.community_id = $1 AND addresses.profile_id = profiles.profile_id
       ) AS addresses
FROM profiles
WHERE community_id = $1 AND profile_id = $2
"""


async def contributing_rows(
    scope: Scope, profile_id: UUID, aggregation: Aggregation, as_of: datetime
) -> dict[str, Any]:
    """What made a value at `as_of`: `transactions` in order, at most 1000 of `transactions_count`, and `facts`,
    the others that it uses.
    """
    found: dict[str, Any] = {"transactions_count": 0, "transactions": [], "facts": {}}
    if aggregation.explain_filter is not None:
        rows = await scope.fetch(explain_statement(aggregation.name), scope.community_id, [profile_id], [as_of])
        shown = await TRANSACTIONS.fetch_many(scope, [row["id"] for row in rows])
        found["transactions"] = [shown[row["id"]] for row in rows]
        found["transactions_count"] = rows[0]["total"] if rows else 0
    if aggregation.explain_fields:
        member = await scope.fetchrow(_MEMBER, scope.community_id, profile_id)
        found["facts"] = {
            name: format_timestamp(member[name]) if isinstance(member[name], datetime) else member[name]
            for name in aggregation.explain_fields
        }
    return found
