"""The purchases of CDNOW, an online music shop: real customers from their first purchase on.

Source: the CDNOW master data set, published for research by Peter S. Fader and Bruce G. S. Hardie
("Forecasting Repeat Sales at CDNOW: A Case Study", Interfaces 31, 2001). It holds every customer whose
first purchase fell in January to March 1997 and all their purchases until the end of June 1998: 69,659
purchases of 23,570 customers, 167,881 CDs for 2,500,315.63 dollars. A line of the file is a customer, a
date, a number of CDs and an amount.
"""

import gzip
from collections.abc import Iterator
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from importlib import resources
from typing import NamedTuple, TypedDict

from regulars.demo.rows import CommunityRecord

TIMEZONE = "America/New_York"
CURRENCY = "USD"

_TEN_THOUSANDTH = Decimal("0.0001")


class CdnowCustomer(TypedDict):
    """A profile of the club: who bought for the first time became a member on that day."""

    external_id: str
    joined_at: date
    currency: str


class CdnowItem(TypedDict):
    """The only line of a purchase: so many CDs, at their average price."""

    name: str
    quantity: int
    price_sell: Decimal
    price_current: Decimal


class CdnowPurchase(TypedDict):
    """A transaction of the club; its day is known, its hour is not."""

    external_id: str
    profile: str
    transacted_at: date
    timezone: str
    total: Decimal
    currency: str
    systems: list[str]
    items: list[CdnowItem]


class _Line(NamedTuple):
    customer: str
    number: int
    day: date
    discs: int
    dollars: Decimal


def community() -> CommunityRecord:
    """The club that these customers are members of."""
    return {
        "slug": "cdnow",
        "name": "CDNOW",
        "country": "US",
        "timezone": TIMEZONE,
        "currency": CURRENCY,
        "attributes": {"chain": "CDNOW", "country": "US"},
    }


def profiles(each: int = 1) -> Iterator[CdnowCustomer]:
    """Every customer, or one of `each`, in the order of the file; `joined_at` is the day of the first purchase, a bare date."""
    for line in _lines(each):
        # The file is sorted by customer and day, so a customer's first line is its first purchase.
        if line.number == 1:
            yield {"external_id": line.customer, "joined_at": line.day, "currency": CURRENCY}


def transactions(each: int = 1) -> Iterator[CdnowPurchase]:
    """Every purchase of these customers, in the order of the file, its id the customer and the running number of its purchases.

    `total` is what was paid, to the cent, and the truth. The file gives no prices: that of the one item is
    total / quantity to four decimals, and times the quantity, rounded to the cent, it is the total again.
    Some totals are 0.
    """
    for line in _lines(each):
        price = (line.dollars / line.discs).quantize(_TEN_THOUSANDTH, ROUND_HALF_EVEN)
        yield {
            "external_id": f"{line.customer}-{line.number}",
            "profile": line.customer,
            "transacted_at": line.day,
            "timezone": TIMEZONE,
            "total": line.dollars,
            "currency": CURRENCY,
            "systems": ["web"],
            "items": [{"name": "CDs", "quantity": line.discs, "price_sell": price, "price_current": price}],
        }


def _lines(each: int) -> Iterator[_Line]:
    packed = resources.files("regulars.demo") / "cdnow_master.txt.gz"
    with packed.open("rb") as stream, gzip.open(stream, "rt", encoding="ascii") as lines:
        next(lines)
        customer, number = "", 0
        for line in lines:
            name, day, discs, dollars = line.split()
            customer, number = name, number + 1 if name == customer else 1
            if int(name) % each == 0:
                yield _Line(name, number, date.fromisoformat(day), int(discs), Decimal(dollars))
