"""What `include=` adds to transactions that are shown: the profile they belong to, the products sold."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from regulars.access import permits
from regulars.api.endpoint import Call
from regulars.facts.products import PRODUCTS
from regulars.facts.profiles import PROFILES
from regulars.facts.refusals import refuse
from regulars.storage.database import Scope

Shown = dict[str, Any]

INCLUDES = {"include": "What to add, separated by commas: `profile`, `product`."}

# What was bought and who bought it are shown even where they are out of the lists by now.
_EVERY_PRODUCT = replace(PRODUCTS, where="true")
_EVERY_PROFILE = replace(PROFILES, where="true")

_items_decoder = msgspec.json.Decoder(list[dict[str, Any]], float_hook=Decimal)


def included(call: Call) -> frozenset[str]:
    """The names after `include=`.

    Raises Refused for one that is not known, Denied for profiles where the caller may not read them.
    """
    names = frozenset(filter(None, (name.strip() for name in call.query.get("include", "").split(","))))
    if unknown := sorted(names - {"profile", "product"}):
        raise refuse("include", f"knows no {unknown[0]!r}; there is: profile, product")
    if "profile" in names:
        call.require(permits.PROFILE_READ)
    return names


async def include(scope: Scope, transactions: Iterable[Shown], names: frozenset[str]) -> None:
    """Adds what was asked for: `profile` to each transaction, `product` to each of its items."""
    shown = list(transactions)
    if "profile" in names:
        owners = {each["profile_id"] for each in shown} - {None}
        profiles = await _EVERY_PROFILE.many(scope, sorted(owners))
        for each in shown:
            each["profile"] = profiles.get(each["profile_id"])
    if "product" in names:
        for each in shown:
            each["items"] = _items_decoder.decode(each["items"])
        await include_products(scope, [item for each in shown for item in each["items"]])


async def include_products(scope: Scope, items: Iterable[Shown]) -> None:
    """Adds `product` to things that have a `product_id`."""
    shown = list(items)
    products = await products_of(scope, {item["product_id"] for item in shown} - {None})
    for item in shown:
        item["product"] = products.get(item["product_id"])


async def products_of(scope: Scope, ids: set[int]) -> Mapping[int, Shown]:
    """Products by id, deleted ones too."""
    return await _EVERY_PRODUCT.many(scope, sorted(ids))
