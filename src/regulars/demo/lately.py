"""What happened of late between the club and its members: messages, visits, offers.

Who reads and what was bought is known of all members at once; the rest is made while it is read.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime

from msgspec import Struct

from regulars.demo import links, mailings, offers
from regulars.demo.correspondence import AWAY, happenings
from regulars.demo.dispatches import Happening
from regulars.demo.members import Member
from regulars.demo.offers import Offer
from regulars.demo.period import Period
from regulars.demo.recipients import Recipient, recipients
from regulars.demo.rows import LinkVisit, Transaction
from regulars.demo.rows import Offer as OfferRow
from regulars.demo.takers import Purchase, Takers, Touch, granted_at, sales_since


class Lately(Struct, frozen=True, eq=False):
    """A period with its readers, their purchases from long before it on, and the offers of the time."""

    period: Period
    readers: list[Recipient]
    sales: list[Purchase]
    offers: list[Offer]
    takers: Takers

    def happenings(self) -> Iterator[Happening]:
        """All events of all dispatches."""
        return happenings(self.period, self.readers, self.sales, self._grants())

    def touches(self) -> Iterator[Touch]:
        """All events of all offers."""
        for offer in self.offers:
            yield from self.takers.touches(offer)

    def offer_rows(self) -> Iterator[OfferRow]:
        """The offers, each as it stands at the end."""
        for offer in self.offers:
            used = sum(touch.event == "used" for touch in self.takers.touches(offer))
            yield offers.row(offer, used, self.period.as_of)

    def visits(self) -> Iterator[LinkVisit]:
        """All visits of pages."""
        period = self.period
        everything = (
            links.of_messages(self.happenings(), period.seed),
            links.of_offers(self.touches(), period.seed),
            links.of_elsewhere(period),
        )
        for visits in everything:
            yield from (visit for visit in visits if visit["at"] < period.as_of)

    def _grants(self) -> dict[str, list[datetime]]:
        found: dict[str, list[datetime]] = {}
        for offer in self.offers:
            for place, reader in enumerate(self.takers.granted(offer)):
                found.setdefault(reader.member.external_id, []).append(granted_at(offer, place))
        return found


def lately(period: Period, members: Iterable[Member], receipts: Iterable[Transaction]) -> Lately:
    """What happened in a period among members, who have receipts."""
    campaigns = mailings.campaigns(period.as_of, period.length)
    readers = list(recipients(members, campaigns, period.as_of, period.seed))
    sales = sales_since(period.since - AWAY, receipts)
    return Lately(
        period=period,
        readers=readers,
        sales=sales,
        offers=offers.offers(period),
        takers=Takers(readers, sales, period.as_of, period.seed),
    )
