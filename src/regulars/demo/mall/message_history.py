"""All that the club and its readers have written to each other, mailing by mailing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from regulars.demo.mall import mailings
from regulars.demo.mall.dispatches import DispatchEvent, campaign_events, triggered_events
from regulars.demo.mall.mailings import BIRTHDAY, WE_MISS_YOU, WELCOME, Mailing
from regulars.demo.mall.offer_redemption import MemberPurchase
from regulars.demo.mall.recipients import Recipient
from regulars.demo.mall.window import HistoryWindow

LAPSED_AFTER = timedelta(days=180)
"""After so long without a purchase a member is missed."""

_WELCOMED_AFTER = timedelta(minutes=4)

TriggeredSend = tuple[datetime, Recipient]


def dispatch_events(
    period: HistoryWindow,
    readers: Sequence[Recipient],
    sales: Iterable[MemberPurchase],
    grants: Mapping[str, Sequence[datetime]],
) -> Iterator[DispatchEvent]:
    """All events of all dispatches.

    `sales` are those from `AWAY` before the period on, in order; `grants` says when offers were granted, by member.
    """
    bought: dict[str, list[datetime]] = {}
    for sale in sales:
        bought.setdefault(sale.member, []).append(sale.at)
    reading: dict[str, list[Recipient]] = {language: [] for language in mailings.LANGUAGES}
    for reader in readers:
        reading[reader.language].append(reader)
    for mailing in mailings.campaign_mailings(period.as_of, period.days):
        yield from campaign_events(mailing, reading[mailing.language], period.throughput, period.as_of, period.seed)
    for mailing in mailings.triggered_mailings(period.as_of, period.days):
        occasions = _occasions(mailing, reading[mailing.language], period, bought, grants)
        in_order = sorted(occasions, key=lambda occasion: occasion[0])
        yield from triggered_events(mailing, in_order, period.as_of, period.seed)


def _occasions(
    mailing: Mailing,
    readers: Iterable[Recipient],
    period: HistoryWindow,
    bought: Mapping[str, Sequence[datetime]],
    grants: Mapping[str, Sequence[datetime]],
) -> Iterator[TriggeredSend]:
    """When members set off a mailing, by member."""
    for reader in readers:
        number = reader.member.external_id
        if mailing.kind is WELCOME:
            found = _joinings(reader)
        elif mailing.kind is BIRTHDAY:
            found = _birthdays(mailing, reader, period)
        elif mailing.kind is WE_MISS_YOU:
            found = _absences(mailing, bought.get(number, ()))
        else:
            found = iter(grants.get(number, ()))
        yield from ((at, reader) for at in found if mailing.at <= at < period.as_of)


def _joinings(reader: Recipient) -> Iterator[datetime]:
    member = reader.member
    yield member.joined_at + _WELCOMED_AFTER
    if member.rejoined_at is not None:
        yield member.rejoined_at + _WELCOMED_AFTER


def _birthdays(mailing: Mailing, reader: Recipient, period: HistoryWindow) -> Iterator[datetime]:
    if reader.birthday is not None:
        month, day = reader.birthday
        for year in range(period.start.year, period.as_of.year + 1):
            yield mailing.send_time(period.as_of.date().replace(year=year, month=month, day=day))


def _absences(mailing: Mailing, bought: Sequence[datetime]) -> Iterator[datetime]:
    for place, at in enumerate(bought):
        missed = mailing.send_time((at + LAPSED_AFTER).date())
        if place + 1 == len(bought) or bought[place + 1] > missed:
            yield missed
