"""Shows a transaction that was just created, from its row instead of the database."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from regulars.core.timestamps import format_timestamp
from regulars.model.transactions.line_items import ItemRow
from regulars.model.transactions.schema import TransactionRow


def serialize_new(
    row: TransactionRow, transaction_id: int, item_ids: Sequence[int], created_at: datetime
) -> dict[str, Any] | None:
    """What `TRANSACTIONS` reads of a transaction that was stored as its row says, at `created_at`.

    None if it has to be read: a transaction without a profile may have been claimed, and the database normalizes the JSON
    of details and discounts.
    """
    if row.profile_id is None or row.details is not None or row.transacted_at is None:
        return None
    if row.location_id is not None and row.embedded_location is None:
        return None
    if any(item.details is not None or item.discounts for item in row.items):
        return None
    created = format_timestamp(created_at)
    systems = ",".join(row.systems)
    return {
        "id": transaction_id,
        "external_id": row.external_id,
        "profile_id": row.profile_id,
        "location_id": row.location_id,
        "location": row.embedded_location,
        "transacted_at": format_timestamp(row.transacted_at),
        "timezone": row.timezone,
        "total": _number(row.total),
        "total_original": None,
        "currency": row.currency,
        "currency_rate": _number(row.currency_rate),
        "rounding": None,
        "margin": None,
        "type": None,
        "status": None,
        "order_number": None,
        "receipt_ref": row.receipt_ref,
        "linked_receipt_ref": None,
        "systems": systems.split(",") if systems else [],
        "is_void": row.is_void,
        "tags": [],
        "meta": None,
        "payments": [],
        "items": [
            _item(item, item_id, transaction_id, created) for item, item_id in zip(row.items, item_ids, strict=True)
        ],
        "created_at": created,
        "updated_at": created,
    }


def _item(item: ItemRow, item_id: int, transaction_id: int, created: str) -> dict[str, Any]:
    return {
        "id": item_id,
        "transaction_id": transaction_id,
        "external_id": item.external_id,
        "name": item.name,
        "sku": item.sku,
        "brand": item.brand,
        "product_id": item.product_id,
        "product_variant_id": item.product_variant_id,
        "quantity": _number(item.quantity),
        "price_sell": _number(item.price_sell),
        "price_current": _number(item.price_current),
        "price_original": _number(item.price_original),
        "price_tax": _number(item.price_tax),
        "discounts": [],
        "is_void": item.is_void,
        "tags": [],
        "meta": None,
        "created_at": created,
        "updated_at": created,
    }


def _number(value: Decimal | None) -> Decimal | None:
    """A number as the database returns it: without a negative zero."""
    return value if value is None or value else value.copy_abs()
