"""Writes of products with their brands and variants, by the API, imports and transactions."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from regulars.core import validation
from regulars.core.errors import NotFoundError, QuotingText, ValidationError, field_error
from regulars.model.products import variants
from regulars.model.products.schema import NEW_PRODUCT, PRODUCTS, TABLE, BrandRef, ProductIn, ProductRow, validate
from regulars.model.products.schema import requested_variants as wanted_of
from regulars.model.products.schema import resolve_brand_ids as brand_ids_of
from regulars.model.products.variants import RequestedVariant, VariantIn, VariantRow
from regulars.model.repository import Row, changed_columns
from regulars.model.unit_of_work import UnitOfWork

__all__ = [
    "PRODUCTS",
    "InlineProduct",
    "InlineVariant",
    "ProductIn",
    "ProductRow",
    "create",
    "delete",
    "get_or_create_inline",
    "lock_existing",
    "resolve_variants",
    "update",
    "upsert_many",
    "validate",
]


async def create(uow: UnitOfWork, product: ProductIn) -> int:
    """Creates a product with its variants and returns its id. Raises ValidationError."""
    row = validate(product)
    (brand_id,) = await brand_ids_of(uow, [row])
    product_id = await TABLE.insert_one(uow, row.apply_to(NEW_PRODUCT, brand_id))
    await variants.upsert(uow, wanted_of(product_id, row))
    return product_id


async def update(uow: UnitOfWork, product_id: int, product: ProductIn) -> None:
    """Updates a product; variants are matched by id, SKU or external id, and others are created.

    Another brand invalidates the values of all profiles. Raises ValidationError and NotFoundError.
    """
    row = validate(product)
    found = await TABLE.lock_rows(uow, "id = $2", product_id)
    if not found:
        raise NotFoundError(f"There is no product {product_id}.")
    before = found[0]
    (brand_id,) = await brand_ids_of(uow, [row], {before["brand_id"]} - {None})
    after = row.apply_to(before, brand_id)
    if changed := changed_columns(before, after):
        await TABLE.update(uow, [after])
        if "brand_id" in changed:
            uow.invalidate_values()
    await variants.upsert(uow, wanted_of(product_id, row))


async def delete(uow: UnitOfWork, product_id: int) -> None:
    """Soft-deletes a product and its variants; sold items keep their brand. Raises NotFoundError."""
    if not await TABLE.delete(uow, "id = $2", product_id):
        raise NotFoundError(f"There is no product {product_id}.")
    await variants.TABLE.delete(uow, "product_id = $2", product_id)


async def lock_existing(uow: UnitOfWork, product_id: int) -> None:
    """Locks a product. Raises NotFoundError."""
    if not await TABLE.lock_rows(uow, "id = $2", product_id):
        raise NotFoundError(f"There is no product {product_id}.")


# Many rows ----------------------------------------------------------------------------------------------

ProductKey = tuple[str | None, str | None, int | None]
"""The key by which a product is matched: its external id, or without one its name and brand."""


class InlineProduct(msgspec.Struct, frozen=True, kw_only=True):
    """The product of an inline variant."""

    external_id: validation.Code = UNSET
    name: validation.Text = UNSET
    title: validation.Text = UNSET
    brand: validation.Text | BrandRef = UNSET
    brand_id: validation.Id = UNSET


class InlineVariant(VariantIn, frozen=True, kw_only=True):
    """A variant in an item of a transaction: found by SKU, else external id, else created."""

    product_id: validation.Id = UNSET
    product: InlineProduct | UnsetType | None = UNSET
    brand: validation.Text | BrandRef = UNSET
    """The brand of its product, unless the product names one."""


def find_variants_sql(ids: str, skus: str) -> str:
    """SQL of the variants of community $1 that have one of some ids or SKUs, which are expressions of arrays.

    A variant that has both is found twice.
    """
    return f"""
SELECT id, product_id, sku
FROM product_variants
WHERE community_id = $1 AND deleted_at IS NULL AND id = ANY ({ids})
UNION ALL
SELECT id, product_id, sku
FROM product_variants
WHERE community_id = $1 AND deleted_at IS NULL AND sku = ANY ({skus})
"""


_RESOLVE = find_variants_sql("$2", "$3")

_FIND_BY_CODE = """
SELECT id, product_id, sku, external_id
FROM product_variants
WHERE community_id = $1 AND deleted_at IS NULL AND sku = ANY ($2)
UNION
SELECT id, product_id, sku, external_id
FROM product_variants
WHERE community_id = $1 AND deleted_at IS NULL AND external_id = ANY ($3)
"""

ProductVariantIds = tuple[int, int]
"""The ids of a product and its variant."""


async def resolve_variants(
    uow: UnitOfWork, variant_ids: Collection[int], skus: Collection[str]
) -> tuple[dict[int, ProductVariantIds], dict[str, ProductVariantIds]]:
    """The product and variant ids by variant id and by SKU; unknown ones are left out."""
    requested = {variant_id for variant_id in variant_ids if 0 < variant_id <= validation.MAX_ID}
    rows = await uow.fetch(_RESOLVE, uow.community_id, sorted(requested), sorted(skus))
    by_id = {row["id"]: (row["product_id"], row["id"]) for row in rows if row["id"] in requested}
    by_sku = {row["sku"]: (row["product_id"], row["id"]) for row in rows if row["sku"] is not None}
    return by_id, {sku: by_sku[sku] for sku in skus if sku in by_sku}


def validate_inline(variant: InlineVariant) -> tuple[VariantRow, ProductRow]:
    """Validates an inline variant and its product. Raises ValidationError."""
    errors: dict[str, str] = {}
    row, product = VariantRow(None, {}, {}), ProductRow({}, {}, UNSET, "", ())
    try:
        row = variants.validate(variant)
    except ValidationError as error:
        errors |= error.errors
    product_in = variant.product
    brand = UNSET if variant.brand in ("", None) else variant.brand
    try:
        product = validate(
            ProductIn(
                external_id=product_in.external_id,
                name=product_in.name,
                title=product_in.title,
                brand=brand if product_in.brand is UNSET else product_in.brand,
                brand_id=product_in.brand_id,
            )
            if isinstance(product_in, InlineProduct)
            # Without a product, inline variants with the same name belong to one product.
            else ProductIn(name=variant.name, title=variant.title, brand=brand)
        )
    except ValidationError as error:
        if isinstance(product_in, InlineProduct):
            errors |= error.with_prefix("product").errors
        else:
            errors |= {path: message for path, message in error.errors.items() if path.startswith("brand")}
    if errors:
        raise ValidationError(errors)
    return row, product


async def get_or_create_inline(uow: UnitOfWork, inline: Sequence[InlineVariant]) -> list[ProductVariantIds]:
    """The product and variant ids of each inline variant; missing ones are created, existing ones are unchanged, but a
    product without a brand takes that of the variant.

    Raises ValidationError for invalid variants and for an unknown `product_id`.
    """
    rows = [validate_inline(each) for each in inline]
    codes = [(row.columns.get("sku"), row.columns.get("external_id")) for row, _ in rows]
    found = await uow.fetch(
        _FIND_BY_CODE,
        uow.community_id,
        sorted({sku for sku, _ in codes if sku}),
        sorted({code for _, code in codes if code}),
    )
    by_sku = {row["sku"]: (row["product_id"], row["id"]) for row in found if row["sku"]}
    by_code = {row["external_id"]: (row["product_id"], row["id"]) for row in found if row["external_id"]}
    sold: dict[int, ProductVariantIds] = {}
    for index, (sku, code) in enumerate(codes):
        if known := by_sku.get(sku) or by_code.get(code):
            sold[index] = known
    rest = [index for index in range(len(inline)) if index not in sold]
    product_ids = await _products_of(uow, [(inline[index].product_id, rows[index][1]) for index in rest])
    new = [
        RequestedVariant(product_id, rows[index][0], "product_variant")
        for index, product_id in zip(rest, product_ids, strict=True)
    ]
    created = await variants.upsert(uow, new, create_only=True) if new else []
    sold |= {index: (product_id, variant_id) for index, (product_id, variant_id, _) in zip(rest, created, strict=True)}
    # Of several brands the first one counts.
    branded = {sold[index][0]: rows[index][1] for index in reversed(range(len(inline))) if rows[index][1].has_brand}
    if branded:
        await _add_brands(uow, branded)
    return [sold[index] for index in range(len(inline))]


_SAME_PRODUCTS = """
SELECT named.name, named.brand_id
FROM unnest($2::text[], $3::bigint[]) AS input (name, brand_id)
JOIN products AS named
    ON named.community_id = $1
    AND named.name = input.name
    AND named.brand_id = input.brand_id
    AND named.external_id IS NULL
    AND named.deleted_at IS NULL
"""


async def _add_brands(uow: UnitOfWork, branded: Mapping[int, ProductRow]) -> None:
    """Sets the brands of products without one, unless another product has that name and brand."""
    found = await TABLE.lock_rows(uow, "id = ANY ($2) AND brand_id IS NULL AND deleted_at IS NULL", sorted(branded))
    if not found:
        return
    brand_ids = await brand_ids_of(uow, [branded[each["id"]] for each in found])
    named = [{**each, "brand_id": brand_id} for each, brand_id in zip(found, brand_ids, strict=True)]
    rows = await uow.fetch(
        _SAME_PRODUCTS, uow.community_id, [each["name"] for each in named], [each["brand_id"] for each in named]
    )
    taken = {(row["name"], row["brand_id"]) for row in rows}
    changed: list[Row] = []
    for each in named:
        key = each["name"], each["brand_id"]
        if each["external_id"] is not None or key not in taken:
            changed.append(each)
            taken.add(key)
    if changed:
        await TABLE.update(uow, changed)
        uow.invalidate_values()


async def _products_of(uow: UnitOfWork, requested: Sequence[tuple[object, ProductRow]]) -> list[int]:
    given_ids = {product_id for product_id, _ in requested if isinstance(product_id, int)}
    known = await TABLE.existing_ids(uow, given_ids) if given_ids else set()
    if unknown := given_ids - known:
        message = QuotingText(f"is no product: there is none with the id {min(unknown)}", "is no product")
        raise field_error("product_variant.product_id", message)
    named = [row for product_id, row in requested if not isinstance(product_id, int)]
    brand_ids = await brand_ids_of(uow, named)
    keys = [_key(row, brand_id) for row, brand_id in zip(named, brand_ids, strict=True)]
    new = {key: row.apply_to(NEW_PRODUCT, brand_id) for key, row, brand_id in zip(keys, named, brand_ids, strict=True)}
    found, _ = await _get_or_create(uow, new, {})
    ids = iter(found[key]["id"] for key in keys)
    return [product_id if isinstance(product_id, int) else next(ids) for product_id, _ in requested]


def _key(row: ProductRow, brand_id: int | UnsetType | None) -> ProductKey:
    if row.external_id is not None:
        return row.external_id, None, None
    return None, row.name, None if isinstance(brand_id, UnsetType) else brand_id


def _key_of(row: Mapping[str, Any]) -> ProductKey:
    external_id = row["external_id"]
    return (None, row["name"], row["brand_id"]) if external_id is None else (external_id, None, None)


def _keys_in_order(keys: Collection[ProductKey]) -> list[ProductKey]:
    return sorted(keys, key=lambda key: (key[0] or "", key[1] or "", key[2] or 0))


_BY_KEY = """id IN (
    SELECT id
    FROM products
    WHERE community_id = $1 AND external_id = ANY ($2) AND deleted_at IS NULL
    UNION ALL
    SELECT named.id
    FROM unnest($3::text[], $4::bigint[]) AS input (name, brand_id)
    JOIN products AS named
        ON named.community_id = $1
        AND named.name = input.name
        AND named.brand_id IS NOT DISTINCT FROM input.brand_id
        AND named.external_id IS NULL
        AND named.deleted_at IS NULL
    UNION ALL
    SELECT product_id
    FROM product_variants
    WHERE community_id = $1 AND sku = ANY ($5) AND deleted_at IS NULL
)"""


async def _get_or_create(
    uow: UnitOfWork, new: Mapping[ProductKey, Row], skus: Mapping[str, ProductKey]
) -> tuple[dict[ProductKey, Row], set[ProductKey]]:
    """Locks the products of these keys, creating missing ones from `new`; returns them and the keys of created ones.

    A product that was created for an inline variant has no external id. A row with an external id that has one of its
    SKUs adopts that product.
    """
    found: dict[ProductKey, Row] = {}
    created: set[ProductKey] = set()
    while missing := _keys_in_order(new.keys() - found.keys()):
        found |= await _locked(uow, missing, skus)
        # A row without external id and name matches no other, and is always created.
        rows = [new[key] for key in _keys_in_order(new.keys() - found.keys())]
        for row in await TABLE.insert(uow, rows):
            key = (row["external_id"], None, None) if row["external_id"] else (None, row["name"], row["brand_id"])
            found[key] = row
            created.add(key)
    return found, created


async def _locked(uow: UnitOfWork, keys: Sequence[ProductKey], skus: Mapping[str, ProductKey]) -> dict[ProductKey, Row]:
    requested = set(keys)
    named = [key for key in keys if key[0] is None and key[1] is not None]
    rows = await TABLE.lock_rows(
        uow,
        _BY_KEY,
        [key[0] for key in keys if key[0] is not None],
        [key[1] for key in named],
        [key[2] for key in named],
        sorted(sku for sku, key in skus.items() if key in requested),
    )
    found: dict[ProductKey, Row] = {}
    adoptable: dict[int, Row] = {}
    for row in rows:
        key = _key_of(row)
        if row["external_id"] is None:
            adoptable[row["id"]] = row
        if key in requested and (row["external_id"] or row["name"]) is not None:
            found[key] = row
    return found | await _adopt(uow, adoptable, {sku: key for sku, key in skus.items() if key not in found})


async def _adopt(uow: UnitOfWork, adoptable: dict[int, Row], skus: Mapping[str, ProductKey]) -> dict[ProductKey, Row]:
    if not adoptable or not skus:
        return {}
    _, sold = await resolve_variants(uow, (), skus)
    found: dict[ProductKey, Row] = {}
    for sku, (product_id, _) in sold.items():
        if product_id in adoptable:
            found.setdefault(skus[sku], adoptable.pop(product_id))
    return found


def require_key(row: ProductRow) -> ProductRow:
    """Returns a row of an import that has a key. Raises ValidationError otherwise."""
    if row.external_id is None and row.name is None:
        raise field_error("external_id", "is required, or a name: it identifies the row in later imports")
    return row


async def upsert_many(uow: UnitOfWork, rows: Sequence[ProductRow]) -> list[str]:
    """Creates or updates products by external id, else by name and brand, with their variants.

    Returns an outcome per row: `accepted`, or `unchanged` if it changes nothing. Raises ValidationError, for all rows,
    if one has an unknown brand id or the SKU of another product; the caller bisects to find it.
    """
    brand_ids = await brand_ids_of(uow, [require_key(row) for row in rows])
    keys = [_key(row, brand_id) for row, brand_id in zip(rows, brand_ids, strict=True)]
    first: dict[ProductKey, Row] = {}
    skus: dict[str, ProductKey] = {}
    for key, row, brand_id in zip(keys, rows, brand_ids, strict=True):
        first.setdefault(key, row.apply_to(NEW_PRODUCT, brand_id))
        if row.external_id is not None:
            skus |= {sku: key for each in row.variants if (sku := each.columns.get("sku"))}
    before, created = await _get_or_create(uow, first, skus)
    states = dict(before)
    outcomes = []
    new = set(created)
    for key, row, brand_id in zip(keys, rows, brand_ids, strict=True):
        after = row.apply_to(states[key], brand_id)
        outcomes.append("accepted" if key in new or after != states[key] else "unchanged")
        states[key] = after
        new.discard(key)
    await _write(uow, before, states, created)
    return await _with_variants(uow, [states[key]["id"] for key in keys], rows, outcomes)


async def _write(
    uow: UnitOfWork, before: Mapping[ProductKey, Row], states: Mapping[ProductKey, Row], created: set[ProductKey]
) -> None:
    changed = {key: changed_columns(before[key], state) for key, state in states.items()}
    await TABLE.update(uow, [states[key] for key in _keys_in_order(states) if changed[key]])
    if any("brand_id" in columns for key, columns in changed.items() if key not in created):
        uow.invalidate_values()


async def _with_variants(
    uow: UnitOfWork, ids: Sequence[int], rows: Sequence[ProductRow], outcomes: list[str]
) -> list[str]:
    requested = [
        (index, each)
        for index, (product_id, row) in enumerate(zip(ids, rows, strict=True))
        for each in wanted_of(product_id, row)
    ]
    if requested:
        results = await variants.upsert(uow, [each for _, each in requested])
        for (index, _), (_, _, changed) in zip(requested, results, strict=True):
            if changed:
                outcomes[index] = "accepted"
    return outcomes
