"""What members do with offers: see them in the app, open them, take them, and use them when they shop.

An offer is granted to who takes it in the app or at the till, a personal one by the club. It is used on a receipt that
there is: of that member, in that shop, while it can be used. A few per cent of those who see an offer use it, as is
published of coupons in apps.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import Literal

from msgspec import Struct

from regulars.demo.mall.calendar import draw_online_minute
from regulars.demo.mall.offers import MallOffer
from regulars.demo.mall.recipients import Recipient
from regulars.demo.rows import OfferEventRecord, TransactionRecord

OfferEventType = Literal["seen", "clicked", "granted", "used"]

_SEES, _SEES_A_FAVOURITE = 0.13, 0.3
_SEES_A_GRANT = 0.5
_SEES_AGAIN = 0.25
_OPENS, _OPENS_A_GRANT = 0.13, 0.4
_UNKNOWN = 0.1
_DAYS_UNTIL_SEEN = 2.6

_TAKES = 0.5

# Of those who buy in the shop while they could use it: who has it, who has seen it, who looks into the app at the till,
# who has no app and learns of it at the till.
_USES_WHAT_IS_GRANTED, _REMEMBERS, _LOOKS_AT_THE_TILL, _IS_INFORMED = 0.8, 0.5, 0.4, 0.08


class MemberPurchase(Struct, frozen=True, eq=False):
    """A sale to a member, as far as offers know of it."""

    member: str
    shop: str
    transaction: str
    at: datetime


class OfferInteraction(Struct, frozen=True, eq=False):
    """An event of an offer."""

    offer: MallOffer
    number: int
    event: OfferEventType
    at: datetime
    recipient: Recipient | None
    transaction: str | None

    def row(self) -> OfferEventRecord:
        """The event as it is loaded."""
        return {
            "external_id": f"{self.offer.external_id}-{self.number}",
            "offer": self.offer.external_id,
            "event": self.event,
            "at": self.at,
            "profile": None if self.recipient is None else self.recipient.member.external_id,
            "transaction": self.transaction,
            "location": self.offer.shop.external_id if self.event == "used" else None,
        }


OfferMoment = tuple[datetime, OfferEventType, Recipient | None, str | None]


def sales_since(since: datetime, receipts: Iterable[TransactionRecord]) -> list[MemberPurchase]:
    """The sales to members from an instant on, in the order of time; what was exchanged or voided is none."""
    found = [
        MemberPurchase(row["profile"], row["location"], row["external_id"], row["transacted_at"].astimezone(UTC))
        for row in receipts
        if row["profile"] is not None and row["type"] == "sale" and not row["is_void"] and "exchange" not in row["tags"]
        if row["transacted_at"] >= since
    ]
    return sorted(found, key=lambda purchase: (purchase.at, purchase.transaction))


def select_grantees(offer: MallOffer, recipients: Sequence[Recipient], seed: int) -> list[Recipient]:
    """To whom a personal offer is granted: to members who take such, and of the shop's guests first."""
    if offer.kind != "personal":
        return []
    dice = Random(f"grants of {offer.external_id} of {seed}")
    willing = [each for each in recipients if each.takes_personal_offers and _is_in(each, offer.start)]
    dice.shuffle(willing)
    willing.sort(key=lambda each: offer.shop not in each.member.shops)
    return willing[: offer.stock]


class OfferRedemption:
    """Members by mall, and their purchases by shop: those who can see or use an offer."""

    def __init__(
        self, recipients: Iterable[Recipient], purchases: Iterable[MemberPurchase], as_of: datetime, seed: int
    ) -> None:
        self._as_of = as_of
        self._seed = seed
        self._by_number: dict[str, Recipient] = {}
        self._by_mall: dict[int, list[Recipient]] = {}
        self._by_shop: dict[str, list[MemberPurchase]] = {}
        for recipient in recipients:
            self._by_number[recipient.member.external_id] = recipient
            self._by_mall.setdefault(recipient.member.mall.number, []).append(recipient)
        for purchase in purchases:
            self._by_shop.setdefault(purchase.shop, []).append(purchase)

    def grantees(self, offer: MallOffer) -> list[Recipient]:
        """To whom an offer is granted."""
        return select_grantees(offer, self._by_mall.get(offer.shop.mall.number, ()), self._seed)

    def interactions(self, offer: MallOffer) -> Iterator[OfferInteraction]:
        """What happens to an offer before the end of the history, in the order of time."""
        dice = Random(f"takers of {offer.external_id} of {self._seed}")
        having = self.grantees(offer)
        moments: list[OfferMoment] = [
            (granted_at(offer, place), "granted", each, None) for place, each in enumerate(having)
        ]
        moments += self._sights(offer, having, dice)
        moments += self._uses(offer, _first("granted", moments), _first("seen", moments), dice)
        moments.sort(key=lambda moment: moment[0])
        for number, (at, event, recipient, transaction) in enumerate(moments, 1):
            if at < self._as_of:
                yield OfferInteraction(offer, number, event, at, recipient, transaction)

    def _sights(self, offer: MallOffer, having: Sequence[Recipient], dice: Random) -> list[OfferMoment]:
        """Who sees an offer in the app, and who opens it."""
        if offer.kind == "personal":
            chances = [(reader, _SEES_A_GRANT, _OPENS_A_GRANT) for reader in having]
        else:
            chances = [
                (reader, _SEES_A_FAVOURITE if offer.shop in reader.member.shops else _SEES, _OPENS)
                for reader in self._by_mall.get(offer.shop.mall.number, ())
            ]
        found: list[OfferMoment] = []
        for reader, sees, opens in chances:
            if reader.has_app and dice.random() < min(sees * reader.engagement**0.5, 0.95):
                # Now and then the app does not know who it is; what is granted shows only if it does.
                is_known = offer.kind == "personal" or dice.random() >= _UNKNOWN
                found += _sight(offer, reader if is_known else None, opens, dice)
        return [moment for moment in found if moment[2] is None or _is_in(moment[2], moment[0])]

    def _uses(
        self, offer: MallOffer, having: Mapping[str, datetime], seen: Mapping[str, datetime], dice: Random
    ) -> list[OfferMoment]:
        """The purchases on which an offer is used, as long as there are any left: once by each member."""
        found: list[OfferMoment] = []
        used: set[str] = set()
        for purchase in self._purchases(offer):
            member, at = purchase.member, purchase.at
            reader = self._by_number[member]
            chance = dice.random()
            if member in used or len(used) == offer.stock:
                continue
            taken: Iterable[OfferMoment] = ()
            if member in having and having[member] < at:
                uses = chance < _USES_WHAT_IS_GRANTED
            elif offer.kind == "personal":
                uses = False
            else:
                is_known = member in seen and seen[member] < at
                uses = chance < (_REMEMBERS if is_known else _LOOKS_AT_THE_TILL if reader.has_app else _IS_INFORMED)
                taken = _taken_at_the_till(reader, max(at - timedelta(minutes=2), offer.start), is_known, dice)
            if uses:
                used.add(member)
                found += [*taken, (at, "used", reader, purchase.transaction)]
        return found

    def _purchases(self, offer: MallOffer) -> Sequence[MemberPurchase]:
        """The purchases in the shop while the offer can be used."""
        all_of_them = self._by_shop.get(offer.shop.external_id, [])
        low, high = (bisect_left(all_of_them, at, key=lambda each: each.at) for at in (offer.start, offer.end))
        return all_of_them[low:high]


def _sight(offer: MallOffer, reader: Recipient | None, opens: float, dice: Random) -> Iterator[OfferMoment]:
    """An offer seen once or again, and opened or not."""
    at = _in_the_app(offer, dice)
    if at is None:
        return
    yield at, "seen", reader, None
    if dice.random() < opens:
        clicked = at + timedelta(seconds=4 + 40 * dice.random())
        yield clicked, "clicked", reader, None
        if offer.kind != "personal" and reader is not None and dice.random() < _TAKES:
            yield clicked + timedelta(seconds=2 + 15 * dice.random()), "granted", reader, None
    if dice.random() < _SEES_AGAIN and (again := _in_the_app(offer, dice)) is not None:
        yield again, "seen", reader, None


def _in_the_app(offer: MallOffer, dice: Random) -> datetime | None:
    """When a member looks into the app while an offer is there: mostly in the first days, and in the evening."""
    first = offer.start.astimezone(offer.zone).date()
    day = first + timedelta(days=int(dice.expovariate(1 / _DAYS_UNTIL_SEEN)))
    hour, minute = divmod(draw_online_minute(dice.random()), 60)
    at = datetime.combine(day, time(hour, minute, int(60 * dice.random())), offer.zone).astimezone(UTC)
    return at if offer.start <= at < offer.end - timedelta(minutes=2) else None


def _taken_at_the_till(reader: Recipient, at: datetime, is_known: bool, dice: Random) -> Iterator[OfferMoment]:
    """An offer looked up in the app while waiting to pay; without an app the till grants it."""
    if reader.has_app:
        if not is_known:
            yield at, "seen", reader, None
        yield at + timedelta(seconds=5 + 20 * dice.random()), "clicked", reader, None
    yield at + timedelta(seconds=30 + 20 * dice.random()), "granted", reader, None


def _first(wanted: OfferEventType, moments: Iterable[OfferMoment]) -> dict[str, datetime]:
    """When an event first happened to each member."""
    found: dict[str, datetime] = {}
    for at, event, reader, _ in moments:
        if event == wanted and reader is not None:
            key = reader.member.external_id
            found[key] = min(at, found.get(key, at))
    return found


def granted_at(offer: MallOffer, place: int) -> datetime:
    """When the member in a place among those to whom an offer is granted gets it."""
    return offer.start + timedelta(seconds=1 + place / 10)


def _is_in(reader: Recipient, at: datetime) -> bool:
    return reader.member.joined_at <= at and reader.member.is_member_at(at)
