"""Brands over HTTP."""

from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import brands
from regulars.model.brands import BRANDS, BrandIn
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint


async def _create(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    return await get_representation(BRANDS, uow, await brands.create(uow, call.body))


async def _update(call: RequestContext, uow: UnitOfWork) -> dict[str, object]:
    brand_id = call.path_integer("id")
    await brands.update(uow, brand_id, call.body)
    return await get_representation(BRANDS, uow, brand_id)


async def _delete(call: RequestContext, uow: UnitOfWork) -> None:
    await brands.delete(uow, call.path_integer("id"))


_AT = "/api/v3/brands"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List brands",
        read_handler=list_handler(BRANDS),
        resource=BRANDS,
        is_list=True,
        permit=permits.PRODUCT_READ,
        tag="brands",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a brand",
        write_handler=_create,
        request_model=BrandIn,
        resource=BRANDS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a brand",
        read_handler=get_handler(BRANDS),
        resource=BRANDS,
        permit=permits.PRODUCT_READ,
        tag="brands",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a brand",
        write_handler=_update,
        request_model=BrandIn,
        resource=BRANDS,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a brand",
        write_handler=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
)
