"""Products and their variants over HTTP."""

from typing import Any

import msgspec

from regulars.access import permits
from regulars.api.batches import Batch
from regulars.api.endpoint import Call, Endpoint, data, page
from regulars.api.resources import as_it_is, the_list, the_one
from regulars.facts import products, variants
from regulars.facts.products import PRODUCTS, ProductIn, ProductRow
from regulars.facts.resource import listed, listing
from regulars.facts.variants import VARIANTS, VariantIn
from regulars.facts.writing import Writing
from regulars.storage.database import Scope


class ProductBatch(msgspec.Struct, frozen=True):
    """Products to make, or to change where their external id, or name and brand, are known."""

    products: list[msgspec.Raw]


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    return await as_it_is(PRODUCTS, writing, await products.create(writing, call.body))


async def _update(call: Call, writing: Writing) -> dict[str, object]:
    product_id = call.integer("id")
    await products.update(writing, product_id, call.body)
    return await as_it_is(PRODUCTS, writing, product_id)


async def _delete(call: Call, writing: Writing) -> None:
    await products.delete(writing, call.integer("id"))


def _row(product: ProductIn) -> ProductRow:
    return products.keyed(products.checked(product))


async def _put_batch(call: Call, writing: Writing) -> dict[str, object]:
    batch = Batch("products", call.body.products)
    await batch.put(writing, await call.server.worker_threads.run(batch.checked, ProductIn, _row), products.put_many)
    return await batch.kept(writing)


# Variants --------------------------------------------------------------------------------------------

_OF_PRODUCT = "r.product_id = {0}"


async def _with_product(call: Call, scope: Scope, things: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if "product" not in call.query.get("include", "").split(","):
        return things
    found = await PRODUCTS.many(scope, sorted({each["product_id"] for each in things}))
    return [{**each, "product": found.get(each["product_id"])} for each in things]


async def _list_variants(call: Call) -> dict[str, object]:
    asked = listing(VARIANTS, call.query)
    async with call.server.database.reading(call.community_id) as scope:
        product_id = (await PRODUCTS.one(scope, call.integer("id")))["id"]
        found, total = await listed(VARIANTS, scope, asked, _OF_PRODUCT, product_id)
        things = await _with_product(call, scope, found)
    return page(call, things, total, asked.page.number, asked.page.size)


async def _variant(call: Call, scope: Scope, variant_id: int) -> dict[str, object]:
    condition = f"r.product_id = {call.integer('id')} AND r.id = $2"
    found = await VARIANTS.one(scope, variant_id, condition)
    return data((await _with_product(call, scope, [found]))[0])


async def _read_variant(call: Call) -> dict[str, object]:
    async with call.server.database.reading(call.community_id) as scope:
        return await _variant(call, scope, call.integer("variant_id"))


async def _create_variant(call: Call, writing: Writing) -> dict[str, object]:
    product_id = call.integer("id")
    await products.there_is(writing, product_id)
    return await _variant(call, writing, await variants.create(writing, product_id, call.body))


async def _update_variant(call: Call, writing: Writing) -> dict[str, object]:
    variant_id = call.integer("variant_id")
    await variants.update(writing, call.integer("id"), variant_id, call.body)
    return await _variant(call, writing, variant_id)


async def _delete_variant(call: Call, writing: Writing) -> None:
    await variants.delete(writing, call.integer("id"), call.integer("variant_id"))


_AT = "/api/v3/products"
_VARIANTS_AT = f"{_AT}/{{id}}/variants"
_INCLUDE = {"include": "`product` shows the product of each variant."}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List products",
        reads=the_list(PRODUCTS),
        shows=PRODUCTS,
        lists=True,
        permit=permits.PRODUCT_READ,
        tag="products",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a product with its variants",
        writes=_create,
        takes=ProductIn,
        shows=PRODUCTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "POST",
        f"{_AT}/batch.json",
        "Make or change many products by external id, else by name and brand",
        writes=_put_batch,
        takes=ProductBatch,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a product",
        reads=the_one(PRODUCTS),
        shows=PRODUCTS,
        permit=permits.PRODUCT_READ,
        tag="products",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a product",
        writes=_update,
        takes=ProductIn,
        shows=PRODUCTS,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a product with its variants",
        writes=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        _VARIANTS_AT,
        "List the variants of a product",
        reads=_list_variants,
        shows=VARIANTS,
        lists=True,
        permit=permits.PRODUCT_READ,
        tag="products",
        query=_INCLUDE,
    ),
    Endpoint(
        "POST",
        _VARIANTS_AT,
        "Make a variant of a product",
        writes=_create_variant,
        takes=VariantIn,
        shows=VARIANTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Read a variant",
        reads=_read_variant,
        shows=VARIANTS,
        permit=permits.PRODUCT_READ,
        tag="products",
        query=_INCLUDE,
    ),
    Endpoint(
        "PUT",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Change what is given of a variant",
        writes=_update_variant,
        takes=VariantIn,
        shows=VARIANTS,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Delete a variant",
        writes=_delete_variant,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
)
