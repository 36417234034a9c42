"""Variants and products that transactions create."""

import asyncio
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from api.product_calls import PRODUCTS_URL, create_product, list_products, values_version
from clubs import Club
from regulars.core.errors import ValidationError
from regulars.ingest.commit import commit
from regulars.model.products import products
from regulars.model.products.products import InlineProduct, InlineVariant


async def imported(club: Club, row: dict[str, Any]) -> int:
    """How many of one row were loaded: 1, or 0 where it said nothing new."""
    response = await club.http.post(f"{PRODUCTS_URL}/batch.json", json={"products": [row]})
    found: int = response.json()["data"]["accepted"]
    return found


async def inline(club: Club, *sold: InlineVariant) -> list[tuple[int, int]]:
    return await commit(club.database, club.community.id, lambda w: products.get_or_create_inline(w, sold))


async def test_variants_are_resolved_by_id_and_by_sku(club: Club) -> None:
    product = await create_product(club, name="Shirt", variants=[{"sku": "A"}, {"sku": "B"}, {"sku": "C"}])
    first, second, third = (each["id"] for each in product["variants"])
    await club.http.delete(f"{PRODUCTS_URL}/{product['id']}/variants/{third}")
    by_id, by_sku = await commit(
        club.database,
        club.community.id,
        lambda w: products.resolve_variants(w, [first, third, 10**30, 0], ["B", "C", "none"]),
    )
    assert by_id == {first: (product["id"], first)}
    assert by_sku == {"B": (product["id"], second)}


async def test_an_inline_variant_is_created_with_its_product_and_brand(club: Club) -> None:
    body = b'{"sku": 77, "name": "Small", "price": 5, "product": {"name": "Shirt", "brand": {"name": "Acme"}}}'
    sold = msgspec.json.decode(body, type=InlineVariant, strict=False)
    ((product_id, variant_id),) = await inline(club, sold)
    (product,) = await list_products(club)
    assert (product["id"], product["name"], product["brand"]["name"]) == (product_id, "Shirt", "Acme")
    assert [(each["id"], each["sku"], each["price"]) for each in product["variants"]] == [(variant_id, "77", 5)]
    assert await inline(club, sold) == [(product_id, variant_id)]


async def test_an_existing_variant_is_not_changed_by_an_inline_one(club: Club) -> None:
    product = await create_product(
        club, name="Shirt", brand="Acme", variants=[{"sku": "A", "name": "a"}, {"external_id": "X"}]
    )
    first, second = (each["id"] for each in product["variants"])
    found = await inline(
        club,
        InlineVariant(sku="A", name="other", product=InlineProduct(name="Other", brand="Other")),
        InlineVariant(sku="unknown", external_id="X"),
    )
    assert found == [(product["id"], first), (product["id"], second)]
    assert await list_products(club) == [product]


async def test_inline_variants_share_their_product(club: Club) -> None:
    found = await inline(
        club,
        InlineVariant(sku="A", product=InlineProduct(external_id=1, name="Shirt")),
        InlineVariant(sku="B", product=InlineProduct(external_id="1")),
        InlineVariant(sku="C", product=InlineProduct(name="Sock", brand="Acme")),
        InlineVariant(sku="D", product=InlineProduct(name="Sock", brand="Acme")),
        InlineVariant(sku="E", product=InlineProduct(name="Sock")),
        InlineVariant(sku="F", title="Sock"),
        InlineVariant(sku="A"),
    )
    assert [product for product, _ in found] == [
        found[0][0], found[0][0], found[2][0], found[2][0], found[4][0], found[4][0], found[0][0],
    ]  # fmt: skip
    assert len({product for product, _ in found}) == 3
    assert found[6] == found[0]


async def test_an_inline_variant_may_name_its_product_by_id(club: Club) -> None:
    product = await create_product(club, name="Shirt")
    ((product_id, _),) = await inline(club, InlineVariant(sku="A", product_id=product["id"]))
    assert product_id == product["id"]
    with pytest.raises(ValidationError) as error:
        await inline(club, InlineVariant(sku="B", product_id=10**9))
    assert list(error.value.errors) == ["product_variant.product_id"]


async def test_an_invalid_inline_variant_is_rejected_by_path(club: Club) -> None:
    with pytest.raises(ValidationError) as error:
        await inline(club, InlineVariant(sku="\0", price=Decimal("NaN"), product=InlineProduct(name="\0", brand="\0")))
    assert set(error.value.errors) == {"sku", "price", "product.name", "product.brand"}


async def test_concurrent_sales_create_an_inline_variant_once(club: Club) -> None:
    sold = [
        InlineVariant(sku=f"S{number}", product=InlineProduct(name=f"N{number % 5}", brand="Acme"))
        for number in range(20)
    ]
    answers = await asyncio.gather(inline(club, *sold), inline(club, *sold[::-1]), inline(club, *sold))
    assert answers[0] == answers[1][::-1] == answers[2]
    found = await list_products(club)
    assert (len(found), sum(len(each["variants"]) for each in found)) == (5, 20)


async def test_an_imported_product_adopts_the_one_created_by_a_sale(club: Club) -> None:
    ((product_id, variant_id),) = await inline(club, InlineVariant(sku="A", name="SHIRT S"))
    version = await values_version(club)
    row = {"external_id": "P1", "name": "Shirt", "brand": "Acme", "variants": [{"sku": "A", "name": "Small"}]}
    assert await imported(club, row) == 1
    (product,) = await list_products(club)
    assert (product["id"], product["external_id"], product["brand"]["name"]) == (product_id, "P1", "Acme")
    assert [(each["id"], each["name"]) for each in product["variants"]] == [(variant_id, "Small")]
    assert await values_version(club) == version + 1
    assert await imported(club, row) == 0
