"""Products and their variants over HTTP."""

from typing import Any

import msgspec

from regulars.api.profile import examples, response_schemas
from regulars.api.profile.batch_response import RowBatch
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import audit_rules, permits
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
    """Products to create, or to update if their external id, or their name and brand, exist."""

    products: list[msgspec.Raw]


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(PRODUCTS, uow, await products.create(uow, context.body))


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    product_id = context.path_integer("id")
    await products.update(uow, product_id, context.body)
    return await get_representation(PRODUCTS, uow, product_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await products.delete(uow, context.path_integer("id"))


def _row(product: ProductIn) -> ProductRow:
    return products.require_key(products.validate(product))


async def _write_batch(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    batch = RowBatch("products", context.body.products)
    await batch.write(uow, await context.app.worker_threads.run(batch.validate, ProductIn, _row), products.upsert_many)
    return await batch.store_result(uow)


# Variants --------------------------------------------------------------------------------------------

_OF_PRODUCT = "r.product_id = {0}"


async def _with_product(context: RequestContext, scope: Scope, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if "product" not in context.query_params.get("include", "").split(","):
        return rows
    by_id = await PRODUCTS.fetch_many(scope, sorted({each["product_id"] for each in rows}))
    return [{**each, "product": by_id.get(each["product_id"])} for each in rows]


async def _list_variants(context: RequestContext) -> dict[str, object]:
    query = parse_list_query(VARIANTS, context.query_params)
    async with context.app.database.read_transaction(context.community_id) as scope:
        product_id = (await PRODUCTS.fetch_one(scope, context.path_integer("id")))["id"]
        variants_page, total = await fetch_page(VARIANTS, scope, query, _OF_PRODUCT, product_id)
        rows = await _with_product(context, scope, variants_page)
    return page_envelope(context, rows, total, query.page.number, query.page.size)


async def _variant_envelope(context: RequestContext, scope: Scope, variant_id: int) -> dict[str, object]:
    condition = f"r.product_id = {context.path_integer('id')} AND r.id = $2"
    variant = await VARIANTS.fetch_one(scope, variant_id, condition)
    return data_envelope((await _with_product(context, scope, [variant]))[0])


async def _read_variant(context: RequestContext) -> dict[str, object]:
    async with context.app.database.read_transaction(context.community_id) as scope:
        return await _variant_envelope(context, scope, context.path_integer("variant_id"))


async def _create_variant(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    product_id = context.path_integer("id")
    await products.lock_existing(uow, product_id)
    return await _variant_envelope(context, uow, await variants.create(uow, product_id, context.body))


async def _update_variant(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    variant_id = context.path_integer("variant_id")
    await variants.update(uow, context.path_integer("id"), variant_id, context.body)
    return await _variant_envelope(context, uow, variant_id)


async def _delete_variant(context: RequestContext, uow: UnitOfWork) -> None:
    await variants.delete(uow, context.path_integer("id"), context.path_integer("variant_id"))


_PATH = "/api/v3/products"
_VARIANTS_PATH = f"{_PATH}/{{id}}/variants"
_INCLUDE = {"include": "`product` adds the product of each variant."}

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "List products",
        read_handler=list_handler(PRODUCTS),
        resource=PRODUCTS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="products",
    ),
    Endpoint(
        "POST",
        _PATH,
        "Create a product with its variants",
        write_handler=_create,
        request_model=ProductIn,
        request_example=examples.PRODUCT,
        resource=PRODUCTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_PRODUCTS,
        tag="products",
    ),
    Endpoint(
        "POST",
        f"{_PATH}/batch.json",
        "Create or update many products by external id, else by name and brand",
        write_handler=_write_batch,
        schema=response_schemas.BATCH,
        request_model=ProductBatch,
        request_example=examples.PRODUCTS,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_PRODUCTS,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}",
        "Get a product",
        read_handler=get_handler(PRODUCTS),
        resource=PRODUCTS,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="products",
    ),
    Endpoint(
        "PUT",
        f"{_PATH}/{{id}}",
        "Update a product",
        write_handler=_update,
        request_model=ProductIn,
        request_example=examples.PRODUCT,
        resource=PRODUCTS,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CHANGE_PRODUCT,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a product with its variants",
        write_handler=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CHANGE_PRODUCT,
        tag="products",
    ),
    Endpoint(
        "GET",
        _VARIANTS_PATH,
        "List the variants of a product",
        read_handler=_list_variants,
        resource=VARIANTS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="products",
        query_params=_INCLUDE,
    ),
    Endpoint(
        "POST",
        _VARIANTS_PATH,
        "Create a variant of a product",
        write_handler=_create_variant,
        request_model=VariantIn,
        request_example=examples.VARIANT,
        resource=VARIANTS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_PRODUCTS,
        tag="products",
    ),
    Endpoint(
        "GET",
        f"{_VARIANTS_PATH}/{{variant_id}}",
        "Get a variant",
        read_handler=_read_variant,
        resource=VARIANTS,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="products",
        query_params=_INCLUDE,
    ),
    Endpoint(
        "PUT",
        f"{_VARIANTS_PATH}/{{variant_id}}",
        "Update a variant",
        write_handler=_update_variant,
        request_model=VariantIn,
        request_example=examples.VARIANT,
        resource=VARIANTS,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_PRODUCTS,
        tag="products",
    ),
    Endpoint(
        "DELETE",
        f"{_VARIANTS_PATH}/{{variant_id}}",
        "Delete a variant",
        write_handler=_delete_variant,
        status=204,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_PRODUCTS,
        tag="products",
    ),
)
