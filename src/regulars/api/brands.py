"""Brands over HTTP."""

from regulars.access import permits
from regulars.api.endpoint import Call, Endpoint
from regulars.api.resources import as_it_is, the_list, the_one
from regulars.facts import brands
from regulars.facts.brands import BRANDS, BrandIn
from regulars.facts.writing import Writing


async def _create(call: Call, writing: Writing) -> dict[str, object]:
    return await as_it_is(BRANDS, writing, await brands.create(writing, call.body))


async def _update(call: Call, writing: Writing) -> dict[str, object]:
    brand_id = call.integer("id")
    await brands.update(writing, brand_id, call.body)
    return await as_it_is(BRANDS, writing, brand_id)


async def _delete(call: Call, writing: Writing) -> None:
    await brands.delete(writing, call.integer("id"))


_AT = "/api/v3/brands"

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        _AT,
        "List brands",
        reads=the_list(BRANDS),
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
        reads=the_one(BRANDS),
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
