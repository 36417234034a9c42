"""The outcomes of a message on its way to one member: it arrives or not, is opened, followed, taken ill.

How long people take follows what was measured over billions of messages: a fifth of all opens come within an hour,
half within six, eight of ten within a day, the last weeks later (MailerMailer, GetResponse). That is a lognormal
delay with a median of five hours, thinned out by how awake people are at the hour it leads to.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import log
from random import Random
from zoneinfo import ZoneInfo

from msgspec import Struct

from regulars.demo.mall.mailings import Mailing
from regulars.demo.mall.recipients import FinalEvent, Recipient
from regulars.demo.rows import SendingEventRecord

_LAST_OPEN = timedelta(days=30)
_TRIES = 8

# How likely a member looks at messages at an hour, from midnight on, against the best hour of the day.
_AWAKE = (
    0.12, 0.06, 0.04, 0.03, 0.05, 0.15, 0.45, 0.75, 0.8, 0.8, 0.8, 0.75,
    0.85, 0.8, 0.7, 0.7, 0.75, 0.8, 0.85, 0.95, 1.0, 0.95, 0.7, 0.35,
)  # fmt: skip

_MAILBOX_FULL = 0.004
_GREYLISTED = 0.02
_NUMBER_OUT_OF_USE = 0.01
_PHONE_OFF = 0.06
_APP_REMOVED = 0.03

_READ_AGAIN = 0.22
_FOLLOWS_ANOTHER = 0.24
_AT_MOST = 4
# The first link of a message gets half of the clicks, each further one about half of those before it.
_NEXT_LINK = 0.48


class DispatchEvent(Struct, frozen=True, eq=False):
    """An event of a dispatch; `number` counts those of the dispatch, `link` is the place of the one followed."""

    mailing: Mailing
    recipient: Recipient
    dispatch: str
    number: int
    event: str
    at: datetime
    link: int | None

    def row(self) -> SendingEventRecord:
        """The event as it is loaded."""
        return {
            "external_id": f"{self.dispatch}-{self.number}",
            "sending": self.mailing.external_id,
            "dispatch": self.dispatch,
            "profile": self.recipient.member.external_id,
            "event": self.event,
            "at": self.at,
        }


DispatchMoment = tuple[datetime, str, int | None]
"""An event: when, which, and of a click the place of its link."""


def campaign_events(
    mailing: Mailing, recipients: Iterable[Recipient], throughput: float, as_of: datetime, seed: int
) -> Iterator[DispatchEvent]:
    """What happens to a campaign's dispatches before an instant; so many go out in a second."""
    dice = Random(f"{mailing.external_id} of {seed}")
    channel = mailing.kind.channel
    place = 0
    for recipient in recipients:
        if recipient.is_reachable(channel, mailing.at):
            reach = recipient.reach[channel]
            ending = reach.final_event if reach.end == mailing.at else None
            at = mailing.at + timedelta(seconds=(place + dice.random()) / throughput)
            place += 1
            moments = _moments(mailing, recipient, at, ending, dice)
            if mailing.kind.is_scheduled:
                moments = [(mailing.scheduled_at, "scheduled", None), *moments]
            yield from _reported_events(mailing, recipient, mailing.at, moments, as_of)


def triggered_events(
    mailing: Mailing, occasions: Iterable[tuple[datetime, Recipient]], as_of: datetime, seed: int
) -> Iterator[DispatchEvent]:
    """What happens to the dispatches that members set off at instants."""
    dice = Random(f"{mailing.external_id} of {seed}")
    for at, recipient in occasions:
        if recipient.is_reachable(mailing.kind.channel, at):
            sent = at.astimezone(UTC) + timedelta(seconds=20 * dice.random())
            yield from _reported_events(mailing, recipient, at, _moments(mailing, recipient, sent, None, dice), as_of)


def _reported_events(
    mailing: Mailing, recipient: Recipient, at: datetime, moments: list[DispatchMoment], as_of: datetime
) -> Iterator[DispatchEvent]:
    dispatch = f"{mailing.external_id}-{recipient.member.external_id}-{at:%y%m%d}"
    for number, (when, event, link) in enumerate(sorted(moments, key=lambda moment: moment[0]), 1):
        if when < as_of:
            yield DispatchEvent(mailing, recipient, dispatch, number, event, when, link)


def _moments(
    mailing: Mailing, recipient: Recipient, at: datetime, ending: FinalEvent | None, dice: Random
) -> list[DispatchMoment]:
    """The events of a dispatch that goes out at an instant; one that ends a channel's reach comes to that end."""
    moments: list[DispatchMoment] = [(at, "transmitted", None)]
    arrived = _ARRIVALS[mailing.kind.channel](at, ending, dice)
    moments.append(arrived)
    if arrived[1] == "delivered":
        moments += _READINGS[mailing.kind.channel](mailing, recipient, arrived[0], ending, dice)
    return moments


def _email_arrives(at: datetime, ending: FinalEvent | None, dice: Random) -> DispatchMoment:
    chance = dice.random()
    if ending == "bounced" or (chance < _MAILBOX_FULL and ending is None):
        return _after(at, 4, 0.7, dice), "bounced", None
    if chance > 1 - _GREYLISTED:
        # A server that does not know the sender yet has it try again some minutes later.
        return at + timedelta(seconds=300 + 900 * dice.random()), "delivered", None
    return _after(at, 3, 0.7, dice), "delivered", None


def _sms_arrives(at: datetime, ending: FinalEvent | None, dice: Random) -> DispatchMoment:
    chance = dice.random()
    if ending == "bounced" or (chance < _NUMBER_OUT_OF_USE and ending is None):
        return _after(at, 5, 0.5, dice), "failed", None
    if chance > 1 - _PHONE_OFF:
        return _after(at, 2400, 1.2, dice), "delivered", None
    return _after(at, 4, 0.6, dice), "delivered", None


def _push_arrives(at: datetime, ending: FinalEvent | None, dice: Random) -> DispatchMoment:
    chance = dice.random()
    if chance < _APP_REMOVED:
        return _after(at, 1, 0.4, dice), "failed", None
    if chance > 1 - _PHONE_OFF:
        return _after(at, 2400, 1.2, dice), "delivered", None
    return _after(at, 1.5, 0.5, dice), "delivered", None


def _email_is_read(
    mailing: Mailing, recipient: Recipient, at: datetime, ending: FinalEvent | None, dice: Random
) -> list[DispatchMoment]:
    kind, zone = mailing.kind, mailing.zone
    if ending is None and dice.random() >= min(kind.open_rate * recipient.engagement, 0.96):
        return []
    opened = _at_leisure(at, 5 * 3600, 2.05, zone, dice)
    moments: list[DispatchMoment] = [(opened, "opened", None)]
    while dice.random() < _READ_AGAIN and len(moments) < _AT_MOST:
        moments.append((_at_leisure(moments[-1][0], 6 * 3600, 1.5, zone, dice), "opened", None))
    if ending is not None:
        moments.append((_after(opened, 40, 0.6, dice), ending, None))
    elif dice.random() < kind.click_rate * recipient.engagement**0.3:
        moments += _clicks(mailing, opened, dice)
    return moments


def _sms_is_read(
    mailing: Mailing, recipient: Recipient, at: datetime, ending: FinalEvent | None, dice: Random
) -> list[DispatchMoment]:
    zone = mailing.zone
    if ending is not None:
        return [(_at_leisure(at, 600, 1.2, zone, dice), ending, None)]
    if dice.random() < mailing.kind.click_rate * recipient.engagement:
        return _clicks(mailing, _at_leisure(at, 1200, 1.6, zone, dice), dice)
    return []


def _push_is_read(
    mailing: Mailing, recipient: Recipient, at: datetime, ending: FinalEvent | None, dice: Random
) -> list[DispatchMoment]:
    if dice.random() >= min(mailing.kind.open_rate * recipient.engagement, 0.96):
        return []
    opened = _at_leisure(at, 900, 1.6, mailing.zone, dice)
    clicks = _clicks(mailing, opened, dice) if dice.random() < mailing.kind.click_rate else []
    return [(opened, "opened", None), *clicks]


_ARRIVALS = {"email": _email_arrives, "sms": _sms_arrives, "push": _push_arrives}
_READINGS = {"email": _email_is_read, "sms": _sms_is_read, "push": _push_is_read}


def _clicks(mailing: Mailing, opened: datetime, dice: Random) -> list[DispatchMoment]:
    """One link followed, or some, one after the other."""
    at = _after(opened, 25, 0.9, dice)
    moments: list[DispatchMoment] = [(at, "clicked", _link(len(mailing.kind.links), dice))]
    while dice.random() < _FOLLOWS_ANOTHER and len(moments) < _AT_MOST:
        at = _after(at, 45, 0.8, dice)
        moments.append((at, "clicked", _link(len(mailing.kind.links), dice)))
    return moments


def _link(count: int, dice: Random) -> int:
    """The place of a link from the top down."""
    return min(int(log(1 - dice.random()) / log(_NEXT_LINK)), count - 1)


def _after(at: datetime, median: float, spread: float, dice: Random) -> datetime:
    return at + timedelta(seconds=dice.lognormvariate(log(median), spread))


def _at_leisure(at: datetime, median: float, spread: float, zone: ZoneInfo, dice: Random) -> datetime:
    """Some time after an instant, at an hour at which people are awake."""
    found = at
    for _ in range(_TRIES):
        found = min(_after(at, median, spread, dice), at + _LAST_OPEN)
        if dice.random() < _AWAKE[found.astimezone(zone).hour]:
            break
    return found
