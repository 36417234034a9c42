"""Transactions as a fact type: one line of a file is a transaction, or one of its items.

Their loader collects the lines of a transaction, so the fact type has no `write`.
"""

from decimal import Decimal
from functools import partial

from msgspec import UNSET, UnsetType

from regulars.core.field_type import FieldType
from regulars.facts.columns import CellEncoding, Columns
from regulars.facts.fact_type import FactType, RowSchema
from regulars.model.transactions import schema
from regulars.model.transactions.line_items import Text, TextOrInt
from regulars.model.transactions.schema import TransactionIn


class TransactionLine(TransactionIn, frozen=True, kw_only=True):
    """A transaction as a line of a file: with its items as a list, or with one item in columns."""

    sku: TextOrInt | UnsetType | None = UNSET
    name: TextOrInt | UnsetType | None = UNSET
    brand: Text | UnsetType | None = UNSET
    quantity: Decimal | UnsetType | None = UNSET
    price_sell: Decimal | UnsetType | None = UNSET
    price_current: Decimal | UnsetType | None = UNSET
    discount: Decimal | UnsetType | None = UNSET


ITEM_COLUMNS = ("sku", "name", "brand", "quantity", "price_sell", "price_current", "discount")
"""The columns of an item in a line."""


TRANSACTIONS = FactType(
    name="transactions",
    description="Sales and returns with their items.",
    schema=RowSchema(
        Columns(
            TransactionLine,
            (("external_id",), ("profile", "profile_id"), ("transacted_at",), ("total", "price_sell", "items")),
            {"location": CellEncoding.TEXT_OR_JSON, "tags": CellEncoding.LIST, "payments": CellEncoding.LIST},
            ("transacted_at",),
            {
                "currency_rate": FieldType.RATE,
                "quantity": FieldType.QUANTITY,
            },
        ),
        partial(schema.validate, allow_local=True),
    ),
)
