"""Recent activity between the club and its members: messages, visits, offers.

Reading habits and purchases of all members are in memory; the rest is generated while it is read.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from regulars.demo.mall import links, mailings, offers
from regulars.demo.mall.dispatches import DispatchEvent
from regulars.demo.mall.members import MallMember
from regulars.demo.mall.message_history import LAPSED_AFTER, dispatch_events
from regulars.demo.mall.offer_redemption import (
    MemberPurchase,
    OfferInteraction,
    OfferRedemption,
    granted_at,
    sales_since,
)
from regulars.demo.mall.offers import MallOffer
from regulars.demo.mall.recipients import Recipient, recipients
from regulars.demo.mall.window import HistoryWindow
from regulars.demo.rows import LinkVisitRecord, TransactionRecord
from regulars.demo.rows import OfferRecord as OfferRow


class RecentActivity(Struct, frozen=True, eq=False):
    """A period with its readers, their purchases from long before it on, and the offers of the time."""

    window: HistoryWindow
    readers: list[Recipient]
    purchases: list[MemberPurchase]
    offers: list[MallOffer]
    redemption: OfferRedemption

    def dispatch_events(self) -> Iterator[DispatchEvent]:
        """All events of all dispatches."""
        return dispatch_events(self.window, self.readers, self.purchases, self._grants())

    def offer_interactions(self) -> Iterator[OfferInteraction]:
        """All events of all offers."""
        for offer in self.offers:
            yield from self.redemption.interactions(offer)

    def offer_rows(self) -> Iterator[OfferRow]:
        """The offers, each as it stands at the end."""
        for offer in self.offers:
            used = sum(touch.event == "used" for touch in self.redemption.interactions(offer))
            yield offers.offer_record(offer, used, self.window.as_of)

    def visits(self) -> Iterator[LinkVisitRecord]:
        """All visits of pages."""
        period = self.window
        everything = (
            links.message_visits(self.dispatch_events(), period.seed),
            links.offer_visits(self.offer_interactions(), period.seed),
            links.organic_visits(period),
        )
        for visits in everything:
            yield from (visit for visit in visits if visit["at"] < period.as_of)

    def _grants(self) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        for offer in self.offers:
            for place, reader in enumerate(self.redemption.grantees(offer)):
                found.setdefault(reader.member.external_id, []).append(granted_at(offer, place))
        return found


def build_recent_activity(
    period: HistoryWindow, members: Iterable[MallMember], receipts: Iterable[TransactionRecord]
) -> RecentActivity:
    """What happened in a period among members, who have receipts."""
    campaigns = mailings.campaign_mailings(period.as_of, period.days)
    readers = list(recipients(members, campaigns, period.as_of, period.seed))
    sales = sales_since(period.start - LAPSED_AFTER, receipts)
    return RecentActivity(
        window=period,
        readers=readers,
        purchases=sales,
        offers=offers.offers(period),
        redemption=OfferRedemption(readers, sales, period.as_of, period.seed),
    )
