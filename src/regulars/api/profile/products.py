"""Products and their variants over HTTP."""

from typing import Any

import msgspec

from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model.products import products, variants
from regulars.model.products.products import PRODUCTS, ProductIn, ProductRow
from regulars.model.products.variants import VARIANTS, VariantIn
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.unit_of_work import UnitOfWork
from regulars.storage.database import Scope
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope, page_envelope


class ProductBatch(msgspec.Struct, frozen=True):
    """Products to make, or to change where their external id, or name and brand, are known."""

    products: list[msgspec.Raw]


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(PRODUCTS, uow, await products.create(uow, call.body))


async def _update(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    product_id = call.path_integer("id")
    await products.update(uow, product_id, call.body)
    return await get_representation(PRODUCTS, uow, product_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await products.delete(uow, call.path_integer("id"))


def _row(product: ProductIn) -> ProductRow:
    return products.require_key(products.validate(product))


async def _put_batch(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    batch = RowBatch("products", call.body.products)
    await batch.write(uow, await call.app.worker_threads.run(batch.validate, ProductIn, _row), products.upsert_many)
    return await batch.store_result(uow)


# Variants --------------------------------------------------------------------------------------------

_OF_PRODUCT = "r.product_id = {0}"


async def _with_product(call: RequestContext, scope: Scope, things: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if "product" not in call.query_params.get("include", "").split(","):
        return things
    found = await PRODUCTS.fetch_many(scope, sorted({each["product_id"] for each in things}))
    return [{**each, "product": found.get(each["product_id"])} for each in things]


async def _list_variants(call: RequestContext) -> dict[str, object]:
    asked = parse_list_query(VARIANTS, call.query_params)
    async with call.app.database.read_transaction(call.community_id) as scope:
        product_id = (await PRODUCTS.fetch_one(scope, call.path_integer("id")))["id"]
        found, total = await fetch_page(VARIANTS, scope, asked, _OF_PRODUCT, product_id)
        things = await _with_product(call, scope, found)
    return page_envelope(call, things, total, asked.page.number, asked.page.size)


async def _variant(call: RequestContext, scope: Scope, variant_id: int) -> dict[str, object]:
    condition = f"r.product_id = {call.path_integer('id')} AND r.id = $2"
    found = await VARIANTS.fetch_one(scope, variant_id, condition)
    return data_envelope((await _with_product(call, scope, [found]))[0])


async def _read_variant(call: RequestContext) -> dict[str, object]:
    async with call.app.database.read_transaction(call.community_id) as scope:
        return await _variant(call, scope, call.path_integer("variant_id"))


async def _create_variant(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    product_id = call.path_integer("id")
    await products.lock_existing(uow, product_id)
    return await _variant(call, uow, await variants.create(uow, product_id, call.body))


async def _update_variant(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    variant_id = call.path_integer("variant_id")
    await variants.update(uow, call.path_integer("id"), variant_id, call.body)
    return await _variant(call, uow, variant_id)


async def _delete_variant(call: RequestContext, uow: UnitOfWork) -> None:
    await variants.delete(uow, call.path_integer("id"), call.path_integer("variant_id"))


_AT = "/api/v3/products"
_VARIANTS_AT = f"{_AT}/{{id}}/variants"
_INCLUDE = {"include": "`product` shows the product of each variant."}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List products",
        read_handler=list_handler(PRODUCTS),
        resource=PRODUCTS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        tag="products",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a product with its variants",
        write_handler=_create,
        request_model=ProductIn,
        resource=PRODUCTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "POST",
        f"{_AT}/batch.json",
        "Make or change many products by external id, else by name and brand",
        write_handler=_put_batch,
        request_model=ProductBatch,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a product",
        read_handler=get_handler(PRODUCTS),
        resource=PRODUCTS,
        permit=permits.PRODUCT_READ,
        tag="products",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a product",
        write_handler=_update,
        request_model=ProductIn,
        resource=PRODUCTS,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a product with its variants",
        write_handler=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        _VARIANTS_AT,
        "List the variants of a product",
        read_handler=_list_variants,
        resource=VARIANTS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        tag="products",
        query_params=_INCLUDE,
    ),
    Endpoint(
        "POST",
        _VARIANTS_AT,
        "Make a variant of a product",
        write_handler=_create_variant,
        request_model=VariantIn,
        resource=VARIANTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Read a variant",
        read_handler=_read_variant,
        resource=VARIANTS,
        permit=permits.PRODUCT_READ,
        tag="products",
        query_params=_INCLUDE,
    ),
    Endpoint(
        "PUT",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Change what is given of a variant",
        write_handler=_update_variant,
        request_model=VariantIn,
        resource=VARIANTS,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_VARIANTS_AT}/{{variant_id}}",
        "Delete a variant",
        write_handler=_delete_variant,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="products",
    ),
)
