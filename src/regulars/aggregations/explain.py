"""Explains a value: the transactions that determine it, and the fields of the profile that it depends on."""

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
    """Ids of the transactions that determine a value, in order, with their total count."""
    body, last = build_ctes(REGISTRY, POSTGRESQL)
    return f"""
WITH {body},
annotated_history AS (
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
SELECT annotated_history.id, count(*) OVER () AS total
FROM annotated_history
JOIN {last} AS value ON value.k = annotated_history.k
WHERE {REGISTRY.by_name[name].explain_filter}
ORDER BY annotated_history.n
LIMIT {MAX_TRANSACTIONS}
"""


_PROFILE_FIELDS = """
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
    """Explains a value at `as_of`: `transactions` in order (at most 1000 of `transactions_count`), and `facts`, the
    fields of the profile that the value depends on.
    """
    explanation: dict[str, Any] = {"transactions_count": 0, "transactions": [], "facts": {}}
    if aggregation.explain_filter is not None:
        rows = await scope.fetch(explain_statement(aggregation.name), scope.community_id, [profile_id], [as_of])
        transactions = await TRANSACTIONS.fetch_many(scope, [row["id"] for row in rows])
        explanation["transactions"] = [transactions[row["id"]] for row in rows]
        explanation["transactions_count"] = rows[0]["total"] if rows else 0
    if aggregation.explain_fields:
        fields = await scope.fetchrow(_PROFILE_FIELDS, scope.community_id, profile_id)
        explanation["facts"] = {
            name: format_timestamp(fields[name]) if isinstance(fields[name], datetime) else fields[name]
            for name in aggregation.explain_fields
        }
    return explanation
