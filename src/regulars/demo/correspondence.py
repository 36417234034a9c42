"""All that the club and its readers have written to each other, mailing by mailing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from regulars.demo import mailings
from regulars.demo.dispatches import Happening, of_campaign, of_occasions
from regulars.demo.mailings import BIRTHDAY, MISSED, WELCOME, Mailing
from regulars.demo.recipients import Recipient
from regulars.demo.rows import Transaction

AWAY = timedelta(days=180)
"""After so long without a purchase a member is missed."""

_WELCOMED_AFTER = timedelta(minutes=4)

Occasion = tuple[datetime, Recipient]


class Period(Struct, frozen=True, eq=False):
    """The days over which there are messages: so many before `as_of`, a dispatch after the other at a pace.

    throughput:  dispatches of a mailing in a second
    """

    as_of: datetime
    length: int
    throughput: float
    seed: int

    @property
    def since(self) -> datetime:
        """When it begins."""
        return self.as_of - timedelta(days=self.length)


def happenings(
    period: Period, readers: Sequence[Recipient], purchases: Mapping[str, Sequence[datetime]]
) -> Iterator[Happening]:
    """All events of all dispatches; `purchases` tells when members bought, from `AWAY` before the period on."""
    reading: dict[str, list[Recipient]] = {language: [] for language in mailings.LANGUAGES}
    for reader in readers:
        reading[reader.language].append(reader)
    for mailing in mailings.campaigns(period.as_of, period.length):
        yield from of_campaign(mailing, reading[mailing.language], period.throughput, period.as_of, period.seed)
    for mailing in mailings.set_off(period.as_of, period.length):
        occasions = _occasions(mailing, reading[mailing.language], period, purchases)
        in_order = sorted(occasions, key=lambda occasion: occasion[0])
        yield from of_occasions(mailing, in_order, period.as_of, period.seed)


def purchases_since(since: datetime, receipts: Iterable[Transaction]) -> dict[str, list[datetime]]:
    """When each member bought from an instant on, in order."""
    found: dict[str, list[datetime]] = {}
    for receipt in receipts:
        is_bought = receipt["type"] == "sale" and not receipt["is_void"]
        if receipt["profile"] is not None and is_bought and receipt["transacted_at"] >= since:
            found.setdefault(receipt["profile"], []).append(receipt["transacted_at"])
    return {member: sorted(times) for member, times in found.items()}


def _occasions(
    mailing: Mailing, readers: Iterable[Recipient], period: Period, purchases: Mapping[str, Sequence[datetime]]
) -> Iterator[Occasion]:
    """When members set off a mailing, by member."""
    for reader in readers:
        if mailing.kind is WELCOME:
            found = _joinings(reader)
        elif mailing.kind is BIRTHDAY:
            found = _birthdays(mailing, reader, period)
        elif mailing.kind is MISSED:
            found = _absences(mailing, purchases.get(reader.member.external_id, ()))
        else:
            found = iter(())
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
