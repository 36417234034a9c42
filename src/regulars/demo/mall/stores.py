"""Where the club's members buy: eight malls with their shops, and an online shop a country."""

from itertools import accumulate

from msgspec import Struct

from regulars.demo.mall.brands import CATEGORIES, Category
from regulars.demo.mall.countries import COUNTRIES, DENMARK, FINLAND, NORWAY, POLAND, SWEDEN, Country
from regulars.demo.mall.opening_hours import OPENING_HOURS
from regulars.demo.rows import LocationRecord

CLUB = "Lyngtorget"

# The shops' telephones take the end of each series, the members' the beginning.
_FIRST_SHOP_PHONE = 980_000

# Every chain has one kind of goods; a mall has the first so many of them.
_CHAINS = (
    ("Nordtråden", "FAS"),
    ("Kornbua", "GRO"),
    ("Kaffe & Kanel", "CAF"),
    ("Duggfrisk", "BEA"),
    ("Viddaløp", "SPO"),
    ("Stuevarme", "HOM"),
    ("Såle & Snøre", "SHO"),
    ("Urtestua", "HEA"),
    ("Voltby", "ELE"),
    ("Trollungen", "KID"),
    ("Bladvenderen", "BOO"),
    ("Linnea & Søn", "FAS"),
    ("Terning & Tog", "TOY"),
    ("Sølvdråpen", "JEW"),
)
_CATEGORY = {category.code: category for category in CATEGORIES}


class Mall(Struct, frozen=True, eq=False):
    """A mall; its number is the `subunit_id` of the members who joined it or shop there."""

    number: int
    country: Country
    city: str
    street: str
    house_number: int
    chains: int

    @property
    def name(self) -> str:
        """What the mall is called, such as Lyngtorget Bergen."""
        return f"{CLUB} {self.city}"


class Shop(Struct, frozen=True, eq=False):
    """One shop of a mall."""

    external_id: str
    code: int
    chain: str
    category: Category
    mall: Mall

    @property
    def country(self) -> Country:
        """Where the shop is."""
        return self.mall.country


class OnlineShop(Struct, frozen=True, eq=False):
    """A country's online shop, which sells all but fresh goods; its parcels leave from `city`."""

    external_id: str
    code: int
    country: Country
    city: str


MALLS = (
    Mall(1, NORWAY, "Drammen", "Bragernesveien", 10, 14),
    Mall(2, NORWAY, "Bergen", "Lyngveien", 2, 14),
    Mall(3, NORWAY, "Trondheim", "Nidarveien", 31, 12),
    Mall(4, SWEDEN, "Göteborg", "Ljungtorget", 1, 13),
    Mall(5, SWEDEN, "Umeå", "Ljungvägen", 8, 9),
    Mall(6, DENMARK, "Aarhus", "Lyngtorvet", 4, 12),
    Mall(7, FINLAND, "Tampere", "Kanervatori", 3, 11),
    Mall(8, POLAND, "Gdańsk", "Wrzosowa", 20, 12),
)

SHOPS = {
    mall.number: tuple(
        Shop(
            f"{mall.country.iso}{mall.number}{unit:02d}",
            mall.number * 100 + unit,
            chain,
            _CATEGORY[code],
            mall,
        )
        for unit, (chain, code) in enumerate(_CHAINS[: mall.chains], start=1)
    )
    for mall in MALLS
}

# How the shops of a mall share its visitors, running sums for a weighted draw.
SHOP_WEIGHTS = {
    number: tuple(accumulate(shop.category.shop_weight for shop in shops)) for number, shops in SHOPS.items()
}

ONLINE_SHOPS = {
    country.iso: OnlineShop(f"{country.iso}-WEB", 900 + number, country, city)
    for number, (country, city) in enumerate(
        zip(COUNTRIES, ("Drammen", "Göteborg", "Aarhus", "Tampere", "Gdańsk"), strict=True), start=1
    )
}


def mall_for(city: str | None, country: Country) -> Mall:
    """The mall of a city; people of a town without one go, when they do, to their country's first."""
    in_country = [mall for mall in MALLS if mall.country is country]
    return next((mall for mall in in_country if mall.city == city), in_country[0])


def location_rows() -> list[LocationRecord]:
    """Every shop, mall by mall, then the online shops: the same in every club."""
    return [_store(shop) for shops in SHOPS.values() for shop in shops] + [
        _online(shop) for shop in ONLINE_SHOPS.values()
    ]


def _store(shop: Shop) -> LocationRecord:
    mall, country = shop.mall, shop.mall.country
    town = next(town for town in country.towns if town.city == mall.city)
    return {
        "external_id": shop.external_id,
        "external_code": str(shop.code),
        "name": f"{shop.chain} {mall.city}",
        "description": f"{shop.category.name.capitalize()} in {mall.name}",
        "type": "store",
        "timezone": country.timezone,
        "phone": country.phone(_FIRST_SHOP_PHONE + shop.code),
        "email": f"store{shop.code}@example.com",
        "address": country.address(town, mall.street, mall.house_number),
        "normal_hours": OPENING_HOURS[country.iso].normal_hours(),
        "tags": [mall.name, shop.category.name],
        "is_published": True,
        "is_permanently_closed": False,
    }


def _online(shop: OnlineShop) -> LocationRecord:
    country = shop.country
    town = next(town for town in country.towns if town.city == shop.city)
    return {
        "external_id": shop.external_id,
        "external_code": str(shop.code),
        "name": f"{CLUB} online {country.name}",
        "description": f"The online shop for {country.name}",
        "type": "online",
        "timezone": country.timezone,
        "phone": country.phone(_FIRST_SHOP_PHONE + shop.code),
        "email": f"online.{country.iso.lower()}@example.com",
        "address": country.address(town, country.streets[0], 100),
        "normal_hours": [],
        "tags": ["online"],
        "is_published": True,
        "is_permanently_closed": False,
    }
