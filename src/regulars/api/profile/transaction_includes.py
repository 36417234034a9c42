"""What `include=` adds to transactions that are shown: the profile they belong to, the products sold."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from regulars.auth import permits
from regulars.core.errors import field_error
from regulars.model.products.products import PRODUCTS
from regulars.model.profiles.profiles import PROFILES
from regulars.storage.database import Scope
from regulars.web.context import RequestContext

TransactionJson = dict[str, Any]

INCLUDES = {"include": "What to add, separated by commas: `profile`, `product`."}

# What was bought and who bought it are shown even where they are out of the lists by now.
_EVERY_PRODUCT = replace(PRODUCTS, where="true")
_EVERY_PROFILE = replace(PROFILES, where="true")

_items_decoder = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def parse_includes(call: RequestContext) -> frozenset[str]:
    """The names after `include=`.

    Raises Refused for one that is not known, Denied for profiles where the caller may not read them.
    """
    names = frozenset(filter(None, (name.strip() for name in call.query_params.get("include", "").split(","))))
    if unknown := sorted(names - {"profile", "product"}):
        raise field_error("include", f"knows no {unknown[0]!r}; there is: profile, product")
    if "profile" in names:
        call.require_permit(permits.PROFILE_READ)
    return names


async def add_includes(scope: Scope, transactions: Iterable[TransactionJson], names: frozenset[str]) -> None:
    """Adds what was asked for: `profile` to each transaction, `product` to each of its items."""
    shown = list(transactions)
    if "profile" in names:
        owners = {each["profile_id"] for each in shown} - {None}
        profiles = await _EVERY_PROFILE.fetch_many(scope, sorted(owners))
        for each in shown:
            each["profile"] = profiles.get(each["profile_id"])
    if "product" in names:
        for each in shown:
            each["items"] = _items_decoder.decode(each["items"])
        await add_products(scope, [item for each in shown for item in each["items"]])


async def add_products(scope: Scope, items: Iterable[TransactionJson]) -> None:
    """Adds `product` to things that have a `product_id`."""
    shown = list(items)
    products = await products_by_id(scope, {item["product_id"] for item in shown} - {None})
    for item in shown:
        item["product"] = products.get(item["product_id"])


async def products_by_id(scope: Scope, ids: set[int]) -> Mapping[int, TransactionJson]:
    """Products by id, deleted ones too."""
    return await _EVERY_PRODUCT.fetch_many(scope, sorted(ids))
