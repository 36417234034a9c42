"""Brands over HTTP."""

from regulars.api.profile.crud import get_handler, get_representation, list_handler
from regulars.auth import permits
from regulars.model import brands
from regulars.model.brands import BRANDS, BrandIn
from regulars.model.unit_of_work import UnitOfWork
from regulars.web.endpoint import Endpoint, RequestContext


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
        reads=list_handler(BRANDS),
        shows=BRANDS,
        lists=True,
        permit=permits.PRODUCT_READ,
        tag="brands",
    ),
    Endpoint(
        "POST",
        _AT,
        "Make a brand",
        writes=_create,
        takes=BrandIn,
        shows=BRANDS,
        status=201,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
    Endpoint(
        "GET",
        f"{_AT}/{{id}}",
        "Read a brand",
        reads=get_handler(BRANDS),
        shows=BRANDS,
        permit=permits.PRODUCT_READ,
        tag="brands",
    ),
    Endpoint(
        "PUT",
        f"{_AT}/{{id}}",
        "Change what is given of a brand",
        writes=_update,
        takes=BrandIn,
        shows=BRANDS,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
    Endpoint(
        "DELETE",
        f"{_AT}/{{id}}",
        "Delete a brand",
        writes=_delete,
        status=204,
        permit=permits.PRODUCT_WRITE,
        tag="brands",
    ),
)
