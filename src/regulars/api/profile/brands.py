"""Brands over HTTP."""

from regulars.api.profile import examples
from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import audit_rules, permits
from regulars.model import brands
from regulars.model.brands import BRANDS, BrandIn
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint


async def _create(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(BRANDS, uow, await brands.create(uow, context.body))


async def _update(context: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    brand_id = context.path_integer("id")
    await brands.update(uow, brand_id, context.body)
    return await get_representation(BRANDS, uow, brand_id)


async def _delete(context: RequestContext, uow: UnitOfWork) -> None:
    await brands.delete(uow, context.path_integer("id"))


_PATH = "/api/v3/brands"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _PATH,
        "List brands",
        read_handler=list_handler(BRANDS),
        resource=BRANDS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="brands",
    ),
    Endpoint(
        "POST",
        _PATH,
        "Create a brand",
        write_handler=_create,
        request_model=BrandIn,
        request_example=examples.BRAND,
        resource=BRANDS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CREATE_BRANDS,
        tag="brands",
    ),
    Endpoint(
        "GET",
        f"{_PATH}/{{id}}",
        "Get a brand",
        read_handler=get_handler(BRANDS),
        resource=BRANDS,
        permit=permits.PRODUCT_READ,
        audit=audit_rules.NOTHING,
        tag="brands",
    ),
    Endpoint(
        "PUT",
        f"{_PATH}/{{id}}",
        "Update a brand",
        write_handler=_update,
        request_model=BrandIn,
        request_example=examples.BRAND,
        resource=BRANDS,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CHANGE_BRAND,
        tag="brands",
    ),
    Endpoint(
        "DELETE",
        f"{_PATH}/{{id}}",
        "Delete a brand",
        write_handler=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        audit=audit_rules.CHANGE_BRAND,
        tag="brands",
    ),
)
