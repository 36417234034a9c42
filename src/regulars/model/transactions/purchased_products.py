"""The purchases of one profile by product and by local date."""

from typing import Any
from uuid import UUID

from regulars.core import money
from regulars.core.field_type import FieldType
from regulars.model.community import Community
from regulars.model.resource import ListQuery, Resource, ResourceField
from regulars.model.transactions.schema import TRANSACTIONS
from regulars.storage.database import Scope

PURCHASED_PRODUCTS = Resource(
    "purchased product",
    """(
    SELECT sale.community_id, sale.profile_id, line.product_id, line.product_variant_id,
           coalesce(variant.sku, line.sku) AS sku,
           min(line.id) AS first_item_id,
           (array_agg(line.name ORDER BY sale.transacted_at DESC, line.id DESC))[1] AS name,
           (array_agg(line.brand ORDER BY sale.transacted_at DESC, line.id DESC))[1] AS line_brand,
           sum(line.quantity) AS quantity,
           count(DISTINCT sale.id) AS transactions_count,
           min(sale.transacted_at) AS first_transacted_at,
           max(sale.transacted_at) AS last_transacted_at
    FROM transactions AS sale
    JOIN transaction_items AS line
      ON line.community_id = sale.community_id
     AND line.transaction_id = sale.id
     AND NOT line.is_void
     AND line.quantity > 0
    LEFT JOIN product_variants AS variant
      ON variant.community_id = sale.community_id
     AND variant.id = line.product_variant_id
    WHERE NOT sale.is_void
    GROUP BY sale.community_id, sale.profile_id, line.product_id, line.product_variant_id,
             coalesce(variant.sku, line.sku)
) AS r""",
    (
        ResourceField(
            "id",
            FieldType.INTEGER,
            "coalesce(r.product_variant_id, r.first_item_id)",
            description="The ID of the variant; without one, of the first item that sold it.",
        ),
        ResourceField("product_id", FieldType.INTEGER),
        ResourceField("product_variant_id", FieldType.INTEGER),
        ResourceField("sku", FieldType.STRING),
        ResourceField("name", FieldType.STRING, description="The name at the latest purchase."),
        ResourceField(
            "brand",
            FieldType.STRING,
            """coalesce((
                SELECT brands.name
                FROM products
                JOIN brands ON brands.community_id = r.community_id AND brands.id = products.brand_id
                WHERE products.community_id = r.community_id AND products.id = r.product_id
            ), r.line_brand)""",
        ),
        ResourceField("quantity", FieldType.NUMBER),
        ResourceField("transactions_count", FieldType.INTEGER),
        ResourceField("first_transacted_at", FieldType.TIMESTAMP),
        ResourceField("last_transacted_at", FieldType.TIMESTAMP),
        # Products bought at or after an instant: their latest purchase was.
        ResourceField("transacted_at", FieldType.TIMESTAMP, "r.last_transacted_at", is_visible=False),
    ),
    key="first_item_id",
)
"""The sold items of a profile's transactions, one row per product, variant and SKU."""


# A row without a date has the number of dates of an empty page.
_BY_LOCAL_DATE = """
WITH dates AS (
    SELECT dated.day, coalesce(sum(dated.amount) FILTER (WHERE NOT dated.is_void), 0)::bigint AS total,
           array_agg(dated.id ORDER BY dated.transacted_at DESC, dated.id DESC) AS ids
    FROM (
        SELECT r.id, r.transacted_at, r.amount, r.is_void,
               coalesce(
                   r.transacted_on, CAST(r.transacted_at AT TIME ZONE coalesce(place.timezone, {zone}) AS date)
               ) AS day
        FROM transactions AS r
        LEFT JOIN locations AS place ON place.community_id = $1 AND place.id = r.location_id
        WHERE r.community_id = $1 AND {conditions}
    ) AS dated
    GROUP BY dated.day
)
SELECT page.*, counted.days
FROM (SELECT count(*) AS days FROM dates) AS counted
LEFT JOIN (SELECT * FROM dates ORDER BY day DESC LIMIT {size} OFFSET {start}) AS page ON TRUE
ORDER BY page.day DESC
"""


async def page_by_local_date(
    scope: Scope, community: Community, profile_id: UUID, query: ListQuery
) -> tuple[list[dict[str, Any]], int]:
    """Returns one page of a profile's transactions by local date, the latest first, and the number of dates.

    Each is `{date, total, transactions_count, transactions}`; the total is net, in the community's currency.
    """
    owner = len(query.values) + 2
    statement = _BY_LOCAL_DATE.format(
        zone=f"${owner + 1}",
        conditions=" AND ".join((*query.conditions, f"r.profile_id = ${owner}")),
        size=query.page.size,
        start=(query.page.number - 1) * query.page.size,
    )
    rows = await scope.fetch(statement, scope.community_id, *query.values, profile_id, community.timezone)
    dates = [row for row in rows if row["day"] is not None]
    shown = await TRANSACTIONS.fetch_many(scope, [each for row in dates for each in row["ids"]])
    days = [
        {
            "date": row["day"],
            "total": money.from_minor_units(row["total"], community.minor_digits),
            "transactions_count": len(row["ids"]),
            "transactions": [shown[each] for each in row["ids"]],
        }
        for row in dates
    ]
    return days, rows[0]["days"]
