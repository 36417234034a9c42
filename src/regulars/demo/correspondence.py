"""All that the club and its readers have written to each other, mailing by mailing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from regulars.demo import mailings
from regulars.demo.dispatches import Happening, of_campaign, of_occasions
from regulars.demo.mailings import BIRTHDAY, MISSED, WELCOME, Mailing
from regulars.demo.period import Period
from regulars.demo.recipients import Recipient
from regulars.demo.takers import Purchase

AWAY = timedelta(days=180)
"""After so long without a purchase a member is missed."""

_WELCOMED_AFTER = timedelta(minutes=4)

Occasion = tuple[datetime, Recipient]


def happenings(
    period: Period, readers: Sequence[Recipient], sales: Iterable[Purchase], grants: Mapping[str, Sequence[datetime]]
) -> Iterator[Happening]:
    """All events of all dispatches.

    `sales` are those from `AWAY` before the period on, in order; `grants` tells when offers were granted, by member.
    """
    bought: dict[str, list[datetime]] = {}
    for sale in sales:
        bought.setdefault(sale.member, []).append(sale.at)
    reading: dict[str, list[Recipient]] = {language: [] for language in mailings.LANGUAGES}
    for reader in readers:
        reading[reader.language].append(reader)
    for mailing in mailings.campaigns(period.as_of, period.length):
        yield from of_campaign(mailing, reading[mailing.language], period.throughput, period.as_of, period.seed)
    for mailing in mailings.set_off(period.as_of, period.length):
        occasions = _occasions(mailing, reading[mailing.language], period, bought, grants)
        in_order = sorted(occasions, key=lambda occasion: occasion[0])
        yield from of_occasions(mailing, in_order, period.as_of, period.seed)


def _occasions(
    mailing: Mailing,
    readers: Iterable[Recipient],
    period: Period,
    bought: Mapping[str, Sequence[datetime]],
    grants: Mapping[str, Sequence[datetime]],
) -> Iterator[Occasion]:
    """When members set off a mailing, by member."""
    for reader in readers:
        number = reader.member.external_id
        if mailing.kind is WELCOME:
            found = _joinings(reader)
        elif mailing.kind is BIRTHDAY:
            found = _birthdays(mailing, reader, period)
        elif mailing.kind is MISSED:
            found = _absences(mailing, bought.get(number, ()))
        else:
            found = iter(grants.get(number, ()))
        yield from ((at, reader) for at in found if mailing.at <= at < period.as_of)


def _joinings(reader: Recipient) -> Iterator[datetime]:
    member = reader.member
    yield member.joined_at + _WELCOMED_AFTER
    if member.back_at is not None:
        yield member.back_at + _WELCOMED_AFTER


def _birthdays(mailing: Mailing, reader: Recipient, period: Period) -> Iterator[datetime]:
    if reader.birthday is not None:
        month, day = reader.birthday
        for year in range(period.since.year, period.as_of.year + 1):
            yield mailing.at_hour(period.as_of.date().replace(year=year, month=month, day=day))


def _absences(mailing: Mailing, bought: Sequence[datetime]) -> Iterator[datetime]:
    for place, at in enumerate(bought):
        missed = mailing.at_hour((at + AWAY).date())
        if place + 1 == len(bought) or bought[place + 1] > missed:
            yield missed
