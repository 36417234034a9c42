"""What the shops offer to members: which, in which mall, from when until when, and how many there are.

On Thursdays, when the newsletter announces them, every fourth shop has a new offer to all, and every other mall one
that is granted to some of those who come there often. A member week in spring and in autumn has many at the same time.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from regulars.demo.mall.countries import FINLAND
from regulars.demo.mall.mailings import NEWSLETTER, campaign_number
from regulars.demo.mall.stores import MALLS, SHOPS, Mall, Shop
from regulars.demo.mall.window import HistoryWindow
from regulars.demo.rows import OfferCollectionRecord
from regulars.demo.rows import OfferRecord as OfferRow

OfferKind = Literal["open", "personal", "member_week"]
OfferType = Literal["discount", "multibuy", "gift"]

MEMBER_WEEK, PERSONAL = "member-week", "for-you"
_COLLECTIONS = {
    MEMBER_WEEK: "Member week",
    PERSONAL: "For you",
    "food": "Food",
    "fashion": "Fashion",
    "kids": "Kids",
    "home": "Home and leisure",
    "well-being": "Sport and well-being",
}
_COLLECTION_OF = {
    "GRO": "food", "CAF": "food", "FAS": "fashion", "SHO": "fashion", "JEW": "fashion", "KID": "kids", "TOY": "kids",
    "HOM": "home", "ELE": "home", "BOO": "home", "SPO": "well-being", "BEA": "well-being", "HEA": "well-being",
}  # fmt: skip

_THURSDAY = 3
_A_SHOP_EVERY_WEEKS, _A_MALL_EVERY_WEEKS = 4, 2
_DAYS_USABLE: dict[OfferKind, int] = {"open": 14, "personal": 21, "member_week": 7}
_MADE_BEFORE = timedelta(days=9)
_DISCOUNTS = (15, 20, 25, 30)
# Food is cheap and has small margins: two for one, or something with the coffee.
_TYPES: dict[str, tuple[OfferType, ...]] = {
    "GRO": ("multibuy", "discount"),
    "CAF": ("gift", "multibuy", "discount"),
    "BEA": ("discount", "multibuy", "gift"),
}
_OTHER_TYPES: tuple[OfferType, ...] = ("discount", "discount", "discount", "multibuy")
_STOCKS: dict[OfferKind, tuple[int | None, ...]] = {
    "open": (None, None, None, 3, 10),
    "personal": (20, 30, 40),
    "member_week": (3, 5, None),
}


class MallOffer(Struct, frozen=True, eq=False):
    """An offer of a shop; one that is personal is granted to some, the others are there for all members."""

    external_id: str
    name: str
    type: OfferType
    kind: OfferKind
    shop: Shop
    start: datetime
    end: datetime
    stock: int | None
    campaign_id: int

    @property
    def created_at(self) -> datetime:
        """When it was made."""
        return self.start - _MADE_BEFORE

    @property
    def zone(self) -> ZoneInfo:
        """The zone of the shop."""
        return ZoneInfo(self.shop.country.timezone)


def collections() -> list[OfferCollectionRecord]:
    """What offers are shown under."""
    return [{"external_id": external_id, "name": name} for external_id, name in _COLLECTIONS.items()]


def offers(period: HistoryWindow) -> list[MallOffer]:
    """The offers that begin in a period, and those that are made by its end, in the order in which they begin."""
    today = period.as_of.astimezone(ZoneInfo(FINLAND.timezone)).date()
    days = (today + timedelta(days=day) for day in range(1 - period.days, _MADE_BEFORE.days + 1))
    found = [
        _offer(kind, shop, day, period)
        for day in days
        if day.weekday() == _THURSDAY
        for mall in MALLS
        for kind, shop in _on(day, mall, period.seed)
    ]
    return [each for each in found if each.created_at < period.as_of]


def offer_record(offer: MallOffer, used: int, as_of: datetime) -> OfferRow:
    """An offer that was used so often."""
    collections = [_COLLECTION_OF[offer.shop.category.code]]
    if offer.kind != "open":
        collections.insert(0, PERSONAL if offer.kind == "personal" else MEMBER_WEEK)
    return {
        "external_id": offer.external_id,
        "name": offer.name,
        "type": offer.type,
        "status": _status(offer, used, as_of),
        "collections": collections,
        "location": offer.shop.external_id,
        "campaign_id": offer.campaign_id,
        "usable_since": offer.start,
        "usable_until": offer.end,
        "stock": offer.stock,
        "created_at": offer.created_at,
    }


def _status(offer: MallOffer, used: int, as_of: datetime) -> Literal["planned", "active", "sold_out", "ended"]:
    if as_of < offer.start:
        return "planned"
    if offer.stock is not None and used >= offer.stock:
        return "sold_out"
    return "active" if as_of < offer.end else "ended"


def _on(day: date, mall: Mall, seed: int) -> Iterator[tuple[OfferKind, Shop]]:
    """What begins in a mall on a Thursday."""
    week = day.toordinal() // 7
    shops = SHOPS[mall.number]
    if day.month in (3, 9) and 10 <= day.day <= 16:
        yield from (("member_week", shop) for shop in shops if shop.code % 2)
        return
    yield from (("open", shop) for shop in shops if (week + shop.code) % _A_SHOP_EVERY_WEEKS == 0)
    if (week + mall.number) % _A_MALL_EVERY_WEEKS == 0:
        yield "personal", Random(f"personal offer of {mall.number} on {day} of {seed}").choice(shops)


def _offer(kind: OfferKind, shop: Shop, day: date, period: HistoryWindow) -> MallOffer:
    external_id = f"{shop.external_id}-{day:%y%m%d}-{kind.replace('_', '-')}"
    dice = Random(f"{external_id} of {period.seed}")
    offered = dice.choice(_TYPES.get(shop.category.code, _OTHER_TYPES))
    stock = dice.choice(_STOCKS[kind])
    zone = ZoneInfo(shop.country.timezone)
    return MallOffer(
        external_id=external_id,
        name=_name(offered, shop, dice),
        type=offered,
        kind=kind,
        shop=shop,
        start=_local(day, time(8), zone),
        end=_local(day + timedelta(days=_DAYS_USABLE[kind]), time(0), zone),
        stock=None if stock is None else round(stock * period.size_factor),
        campaign_id=campaign_number(NEWSLETTER, day),
    )


def _name(offered: OfferType, shop: Shop, dice: Random) -> str:
    goods = f"{dice.choice(shop.category.styles)} {dice.choice(sorted(shop.category.base_prices))}"
    if offered == "multibuy":
        return f"3 for 2 at {shop.chain}: {goods}"
    if offered == "gift":
        return f"A present from {shop.chain}: {goods}"
    return f"{dice.choice(_DISCOUNTS)} % off at {shop.chain}: {goods}"


def _local(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)
