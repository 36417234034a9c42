"""To whom the club may write, by which channel and from when until when.

A profile has the state at the end of the history. This module has it over time: a member who is unsubscribed at the end
was subscribed until the message whose link was used, and an address that is bad was good until a message
bounced. So events and profiles agree.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Literal

from msgspec import Struct

from regulars.demo.mall import profiles as personal
from regulars.demo.mall.mailings import LANGUAGES, Channel, Mailing
from regulars.demo.mall.members import MallMember, Segment
from regulars.demo.rows import ProfileRecord

FinalEvent = Literal["unsubscribed", "complained", "bounced"]

SendTimes = Mapping[tuple[Channel, str], Sequence[datetime]]
"""When campaigns went out by a channel in a language, in order."""

_COMPLAINS = 0.15

# Text messages go to verified numbers alone; what was enabled or verified before is not recorded.
_USABLE = {
    "email": {"enabled", "verified", "unsubscribed", "hard_bounced"},
    "sms": {"verified", "unsubscribed", "hard_bounced"},
    "push": {"enabled", "disabled"},
}

# Who buys often reads more, who has stopped coming reads less.
_ZEST: dict[Segment, float] = {
    "never": 0.7, "one_time": 0.7, "lapsed": 0.6, "occasional": 1.1, "loyal": 1.4, "devoted": 1.6,
}  # fmt: skip


class ChannelReach(Struct, frozen=True, eq=False):
    """From when on a channel reaches a member; at `until` goes the last message, that ends in `ending`, if in any."""

    start: datetime
    end: datetime | None = None
    final_event: FinalEvent | None = None

    def is_active(self, at: datetime) -> bool:
        """Whether something is sent by the channel at an instant."""
        return self.start <= at and (self.end is None or at <= self.end)


class Recipient(Struct, frozen=True, eq=False):
    """A member as a reader; `zest` multiplies how likely it opens what it gets, about 1 on average."""

    member: MallMember
    language: str
    birthday: tuple[int, int] | None
    reach: dict[Channel, ChannelReach]
    has_app: bool
    takes_personal_offers: bool
    engagement: float

    def is_reachable(self, channel: Channel, at: datetime) -> bool:
        """Whether the club writes to a member by a channel at an instant."""
        reach = self.reach.get(channel)
        return (
            reach is not None and reach.is_active(at) and self.member.joined_at <= at and self.member.is_member_at(at)
        )


def recipients(
    members: Iterable[MallMember], campaigns: Sequence[Mailing], as_of: datetime, seed: int
) -> Iterator[Recipient]:
    """All members as readers, by number."""
    calendar = _calendar(campaigns, as_of)
    for member in members:
        yield _recipient(member, calendar, as_of, seed)


def _calendar(campaigns: Sequence[Mailing], as_of: datetime) -> SendTimes:
    calendar: dict[tuple[Channel, str], list[datetime]] = {}
    for mailing in campaigns:
        if mailing.at < as_of:
            calendar.setdefault((mailing.kind.channel, mailing.language), []).append(mailing.at)
    return calendar


def _recipient(member: MallMember, calendar: SendTimes, as_of: datetime, seed: int) -> Recipient:
    dice = Random(f"reader {member.number} of {seed}")
    profile = personal.profile(member, as_of, seed)
    language = profile["properties"]["language"]
    language = language if language in LANGUAGES else "en"
    joining = next(personal.memberships(member, seed))["consents"]
    reach: dict[Channel, ChannelReach] = {}
    statuses: dict[Channel, str | None] = {
        "email": profile["email_status"],
        "sms": profile["sms_status"],
        "push": profile["push_status"],
    }
    for channel, status in statuses.items():
        consent = f"{channel}_marketing"
        if status not in _USABLE[channel]:
            continue
        found = _reach(
            status,
            joining.get(consent, False),
            profile["consents"].get(consent, False),
            (member.joined_at.astimezone(UTC), as_of),
            calendar.get((channel, language), ()),
            dice,
        )
        if found is not None:
            reach[channel] = found if channel == "email" else _quietly(found)
    return Recipient(
        member=member,
        language=language,
        birthday=_birthday(profile),
        reach=reach,
        has_app="push_marketing" in joining,
        takes_personal_offers=profile["consents"].get("personal_offers", False),
        engagement=_ZEST[member.segment] * dice.betavariate(0.9, 1.7) / 0.346,
    )


def _reach(
    status: str,
    at_first: bool,
    now: bool,
    membership: tuple[datetime, datetime],
    went_out: Sequence[datetime],
    dice: Random,
) -> ChannelReach | None:
    """What a consent and a channel's status say; a member who changed a consent did it at any time since joining."""
    joined_at, as_of = membership
    moment = joined_at + (as_of - joined_at) * dice.random()
    complains = dice.random() < _COMPLAINS
    if not at_first:
        return ChannelReach(moment) if now and status != "hard_bounced" else None
    if status == "hard_bounced":
        return ChannelReach(joined_at, _next(went_out, moment), "bounced")
    if status == "unsubscribed":
        return ChannelReach(joined_at, _next(went_out, moment), "complained" if complains else "unsubscribed")
    return ChannelReach(joined_at, None if now else moment)


def _quietly(reach: ChannelReach) -> ChannelReach:
    """The same where there is no button to complain by."""
    return ChannelReach(reach.start, reach.end, "unsubscribed") if reach.final_event == "complained" else reach


def _next(went_out: Sequence[datetime], moment: datetime) -> datetime:
    """When the first campaign went out from a moment on, else the last one; the moment itself before all of them."""
    place = bisect_left(went_out, moment)
    return went_out[min(place, len(went_out) - 1)] if place else moment


def _birthday(profile: ProfileRecord) -> tuple[int, int] | None:
    month, day = profile["birth_month"], profile["birth_day"]
    return (month, day) if month is not None and day is not None else None
