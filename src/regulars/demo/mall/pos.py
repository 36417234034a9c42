"""The till: rings up sales, takes goods back and exchanges them, and numbers the receipts."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Literal

from msgspec import Struct

from regulars.demo.mall.calendar import HistoryCalendar, draw_in_store_minute, draw_online_minute
from regulars.demo.mall.campaigns import MEMBER_PRICE, percent_off
from regulars.demo.mall.products import Shelf, Sku, discounted_price, skus
from regulars.demo.mall.stores import OnlineShop, Shop
from regulars.demo.rows import ItemRecord, TransactionRecord

_NOTHING = Decimal("0.00")
_VOIDED = 0.003
_EXCHANGED = 0.3
_FROM_HOME_MORE_OFTEN = 2.0
_DAYS_TO_RETURN = 28
# With fewer variants they differ in colour or packing: who minds one brings it back, but takes no other.
_SIZES = 4


class ShopVisit(Struct, frozen=True, eq=False):
    """A buyer at a shop, on a day of the history and at an instant of it, before a shelf."""

    shop: Shop | OnlineShop
    shelf: Shelf
    day: int
    at: datetime


class PointOfSale:
    """Serves one buyer, or all who do not say who they are; what is bought is drawn from `dice`."""

    def __init__(self, days: HistoryCalendar, dice: Random, profile: str | None, serials: Iterator[int]) -> None:
        self._days = days
        self._dice = dice
        self._profile = profile
        self._serials = serials

    def sale(self, stop: ShopVisit) -> TransactionRecord:
        """A basket from a shelf; now and then it is voided."""
        receipt = self._receipt(stop, "sale", self._basket(stop))
        receipt["is_void"] = self._dice.random() < _VOIDED
        return receipt

    def returns(self, sale: TransactionRecord, stop: ShopVisit) -> list[TransactionRecord]:
        """What follows on a sale in the weeks after: mostly nothing, or a return, or an exchange.

        Goods go back to the shop they came from, each piece for what was paid for it.
        """
        chance = self._dice.random
        category = stop.shelf.category
        online = isinstance(stop.shop, OnlineShop)
        if sale["is_void"] or chance() >= category.return_rate * (_FROM_HOME_MORE_OFTEN if online else 1):
            return []
        again = self._again(stop, stop.day + 1 + int((_DAYS_TO_RETURN - 1) * chance() ** 1.5))
        if again is None:
            return []
        items = [_taken_back(item, pieces) for item, pieces in self._unwanted(sale["items"])]
        refund = self._receipt(again, "return", items, sale["receipt_ref"])
        if online or len(category.variant_options) < _SIZES or chance() >= _EXCHANGED:
            return [refund]
        later = ShopVisit(again.shop, again.shelf, again.day, again.at + timedelta(minutes=1 + int(3 * chance())))
        instead = self._receipt(later, "sale", [self._in_another_size(item) for item in items])
        refund["tags"], instead["tags"] = ["exchange"], ["exchange"]
        return [refund, instead]

    def _basket(self, stop: ShopVisit) -> list[ItemRecord]:
        chance = self._dice.random
        shelf = stop.shelf
        basket: dict[str, ItemRecord] = {}
        for _ in range(shelf.draw_line_count(chance())):
            sku = shelf.pick(chance())
            pieces = 1 if chance() >= shelf.category.multi_piece_share else 2 + int(3 * chance() ** 2)
            basket[sku.code] = self._line(sku, pieces, stop)
        return list(basket.values())

    def _line(self, sku: Sku, pieces: int, stop: ShopVisit) -> ItemRecord:
        price = sku.prices[stop.shop.country.currency]
        line: ItemRecord = {
            "sku": sku.code,
            "name": sku.name,
            "brand": sku.brand,
            "quantity": pieces,
            "price_sell": price,
            "price_current": price,
            "discounts": [],
        }
        campaign = self._days.campaigns[stop.day] if stop.shelf.category.has_seasonal_sales else None
        if campaign is not None:
            percent = percent_off(campaign, sku.siblings[0])
        elif self._profile is not None:
            campaign, percent = MEMBER_PRICE, self._personal_percent_off()
        if campaign is not None and percent:
            paid = discounted_price(price, percent)
            line["price_sell"] = paid
            line["discounts"] = [{"name": campaign.name, "amount": (price - paid) * pieces}]
        return line

    def _personal_percent_off(self) -> int:
        # Member prices are offers to one member, drawn again each time; what is on sale is so for everybody.
        if self._dice.random() >= MEMBER_PRICE.share:
            return 0
        return self._dice.choice(MEMBER_PRICE.percents)

    def _unwanted(self, items: list[ItemRecord]) -> list[tuple[ItemRecord, int]]:
        """What of a basket comes back, and how many pieces: all of it, or some of one line."""
        chance = self._dice.random
        if chance() < 0.15:
            return [(item, item["quantity"]) for item in items]
        item = items[int(len(items) * chance())]
        return [(item, 1 + int(item["quantity"] * chance()))]

    def _in_another_size(self, returned: ItemRecord) -> ItemRecord:
        others = [code for code in skus()[returned["sku"]].siblings if code != returned["sku"]]
        sku = skus()[self._dice.choice(others)]
        # The price stays what it was on the day of the sale, even if it is on sale by now.
        return {**returned, "sku": sku.code, "name": sku.name, "quantity": -returned["quantity"]}

    def _again(self, stop: ShopVisit, day: int) -> ShopVisit | None:
        """The same shop on a later day, or on the next open one; None if the history ends before."""
        chance = self._dice.random
        country = stop.shop.country
        if isinstance(stop.shop, Shop):
            opening = self._days.opening_hours[country.iso]
            while day <= self._days.last_day and opening[day] is None:
                day += 1
        if day > self._days.last_day:
            return None
        if isinstance(stop.shop, Shop):
            minute = draw_in_store_minute(self._days.hours_on(country, day), chance(), chance())
        else:
            minute = draw_online_minute(chance())
        return ShopVisit(stop.shop, stop.shelf, day, self._days.instant(country, day, minute, int(60 * chance())))

    def _receipt(
        self, stop: ShopVisit, kind: Literal["sale", "return"], items: list[ItemRecord], linked: str | None = None
    ) -> TransactionRecord:
        serial = next(self._serials)
        shop, country = stop.shop, stop.shop.country
        return {
            "external_id": f"T{serial:010d}",
            "profile": self._profile,
            "transacted_at": stop.at,
            "timezone": country.timezone,
            "total": sum([item["price_sell"] * item["quantity"] for item in items], _NOTHING),
            "currency": country.currency,
            "currency_rate": self._days.exchange_rates[country.currency][stop.day],
            "location": shop.external_id,
            "systems": ["web"] if isinstance(shop, OnlineShop) else ["pos"],
            "type": kind,
            "is_void": False,
            "receipt_ref": f"{shop.code}-{serial:010d}",
            "linked_receipt_ref": linked,
            "tags": [],
            "items": items,
        }


def _taken_back(item: ItemRecord, pieces: int) -> ItemRecord:
    """A line of a return: the price is what was paid, so there is no discount left."""
    return {**item, "quantity": -pieces, "price_current": item["price_sell"], "discounts": []}
