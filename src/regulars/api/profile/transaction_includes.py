"""Adds the related rows that `include` names to transactions: their profile and their products."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from regulars.auth import permits
from regulars.core.errors import field_error
from regulars.model.products.products import PRODUCTS
from regulars.model.profiles.profiles import ALL_PROFILES
from regulars.storage.database import Scope
from regulars.web.context import RequestContext

TransactionJson = dict[str, Any]

INCLUDES = {"include": "Related rows to add, separated by commas: `profile`, `product`."}

# Deleted products are included as well, as deleted profiles are, although they are no longer listed.
_ALL_PRODUCTS = replace(PRODUCTS, where="true")

_items_decoder = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def parse_includes(context: RequestContext) -> frozenset[str]:
    """The names in the query parameter `include`.

    Raises ValidationError for an unknown name, AccessDenied for `profile` if the caller may not read profiles.
    """
    names = frozenset(filter(None, (name.strip() for name in context.query_params.get("include", "").split(","))))
    if unknown := sorted(names - {"profile", "product"}):
        raise field_error("include", f"has the unknown name {unknown[0]!r}. Allowed: profile, product")
    if "profile" in names:
        context.require_permit(permits.PROFILE_READ)
    return names


async def add_includes(scope: Scope, transactions: Iterable[TransactionJson], names: frozenset[str]) -> None:
    """Adds the named rows: `profile` to each transaction, `product` to each of its items."""
    rows = list(transactions)
    if "profile" in names:
        owners = {each["profile_id"] for each in rows} - {None}
        profiles = await ALL_PROFILES.fetch_many(scope, sorted(owners))
        for each in rows:
            each["profile"] = profiles.get(each["profile_id"])
    if "product" in names:
        for each in rows:
            each["items"] = _items_decoder.decode(each["items"])
        await add_products(scope, [item for each in rows for item in each["items"]])


async def add_products(scope: Scope, items: Iterable[TransactionJson]) -> None:
    """Adds `product` to rows that have a `product_id`."""
    rows = list(items)
    products = await products_by_id(scope, {item["product_id"] for item in rows} - {None})
    for item in rows:
        item["product"] = products.get(item["product_id"])


async def products_by_id(scope: Scope, ids: set[int]) -> Mapping[int, TransactionJson]:
    """Products by id, including deleted ones."""
    return await _ALL_PRODUCTS.fetch_many(scope, sorted(ids))
