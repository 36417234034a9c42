"""The catalogue of the malls: products with their variants, and what each costs in a country's money."""

from bisect import bisect
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from itertools import accumulate, product
from random import Random

from msgspec import Struct

from regulars.demo.mall.brands import CATEGORIES, Category
from regulars.demo.mall.countries import COUNTRIES, NORWAY
from regulars.demo.rows import ProductRecord

_PRODUCTS_A_CATEGORY = 30
_CENT = Decimal("0.01")


class Sku(Struct, frozen=True, eq=False):
    """A variant on the shelf with its price in each currency; `siblings` are all variants of its product."""

    code: str
    name: str
    brand: str
    prices: dict[str, Decimal]
    siblings: tuple[str, ...]


class Shelf(Struct, frozen=True, eq=False):
    """All that one kind of shop sells, what is bought most coming first."""

    category: Category
    skus: tuple[Sku, ...]
    line_chances: tuple[float, ...]

    def pick(self, chance: float) -> Sku:
        """The variant for a chance in [0, 1): few variants are bought often, many now and then."""
        return self.skus[int(len(self.skus) * chance * chance)]

    def draw_line_count(self, chance: float) -> int:
        """How many different lines a receipt has, for a chance in [0, 1)."""
        return bisect(self.line_chances, chance) + 1


class _Made(Struct, frozen=True, eq=False):
    code: str
    name: str
    brand: str
    category: Category
    amount: float

    def variants(self) -> list[tuple[str, str]]:
        """The SKU and the name of each variant."""
        numbered = enumerate(self.category.variant_options, start=1)
        return [(f"{self.code}-{number}", f"{self.name}, {option}") for number, option in numbered]


@cache
def shelves() -> dict[str, Shelf]:
    """The shelf of each category, by the category's code."""
    return {category.code: _shelf(category) for category in CATEGORIES}


@cache
def skus() -> dict[str, Sku]:
    """Every variant, by its code."""
    return {sku.code: sku for shelf in shelves().values() for sku in shelf.skus}


@cache
def discounted_price(price: Decimal, percent: int) -> Decimal:
    """A price less so many per cent, to the cent."""
    return (price * (100 - percent) / 100).quantize(_CENT, ROUND_HALF_UP)


def price_point(amount: float, currency: str) -> Decimal:
    """The price of goods in a shop of about this value: 34.90, 249 or 1299 kroner, 24.95 euro, 99.99 zloty."""
    if currency == "EUR":
        return int(amount) + Decimal("0.95")
    if currency == "PLN":
        return int(amount) + Decimal("0.99")
    if amount < 100:
        return max(round(amount), 10) - Decimal("0.10")
    step = 10 if amount < 500 else 50
    return Decimal(round(amount / step) * step - 1).quantize(_CENT)


def product_rows() -> list[ProductRecord]:
    """The catalogue, the same in every club: some 370 products with 1,300 variants, prices in NOK."""
    return [_row(made) for category in CATEGORIES for made in _products(category)]


def _row(made: _Made) -> ProductRecord:
    price = price_point(made.amount, NORWAY.currency)
    return {
        "external_id": made.code,
        "name": made.name,
        "brand": made.brand,
        "tags": [made.category.name],
        "variants": [{"sku": sku, "name": name, "price": price} for sku, name in made.variants()],
    }


def _shelf(category: Category) -> Shelf:
    on_shelf = [sku for made in _products(category) for sku in _skus(made)]
    # Shuffled, so that what sells best is not the sizes of one product.
    Random(f"shelf of {category.code}").shuffle(on_shelf)
    return Shelf(category, tuple(on_shelf), tuple(accumulate(category.line_count_weights[:-1])))


def _skus(made: _Made) -> list[Sku]:
    prices = {land.currency: price_point(made.amount * land.price_factor, land.currency) for land in COUNTRIES}
    siblings = tuple(code for code, _ in made.variants())
    return [Sku(code, name, made.brand, prices, siblings) for code, name in made.variants()]


@cache
def _products(category: Category) -> list[_Made]:
    dice = Random(f"products of {category.code}")
    names = list(product(category.styles, category.base_prices))
    chosen = sorted(dice.sample(names, min(_PRODUCTS_A_CATEGORY, len(names))))
    return [
        _Made(
            code=f"{category.code}-{number:03d}",
            name=f"{kind} {goods}",
            brand=dice.choice(category.brands),
            category=category,
            amount=category.base_prices[goods] * dice.lognormvariate(0, 0.22),
        )
        for number, (kind, goods) in enumerate(chosen, start=1)
    ]
