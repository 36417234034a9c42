"""What the club sends and when: a newsletter a week, messages at sales, and those that members set off themselves.

Every mailing goes out in the languages of the malls, at a time of the day in the country of the language.

How messages are taken is set by what is published of retailers and of opt-in mail: about 35 % of newsletters are
opened and 2 to 3 % clicked (Mailchimp's benchmarks), half to 60 % of welcomes and 10 to 15 % of what is to win
members back; links in a text message are followed by 12 to 20 % of engaged readers and 0.2 % answer STOP (TextUs,
retail); 3 % of retailers' pushes are opened.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from msgspec import Struct

from regulars.demo.mall.campaigns import campaign_on
from regulars.demo.mall.countries import DENMARK, FINLAND, NORWAY, POLAND, SWEDEN
from regulars.demo.rows import SendingRecord

Channel = Literal["email", "sms", "push"]

LANGUAGES = {
    **{country.language: ZoneInfo(country.timezone) for country in (NORWAY, SWEDEN, DENMARK, FINLAND, POLAND)},
    "en": ZoneInfo(NORWAY.timezone),
}
"""The languages in which the club writes, and whose clock sets when; who prefers another one gets English."""

_PLACES = {name: place for place, name in enumerate(LANGUAGES, 1)}
_CHANNELS = ("email", "sms", "push")
_PLANNED_AHEAD = timedelta(days=3)
_THURSDAY, _FRIDAY = 3, 4


class MailingType(Struct, frozen=True, eq=False):
    """A kind of mailing.

    hour:     when it is sent, in local time; None if members trigger it at any hour
    opened:   the share of what is delivered that is opened; text messages do not report opens
    clicked:  the share of what is opened (text messages: delivered) of which a link is followed
    links:    the pages to which it links, from the top down
    planned:  whether its dispatches are scheduled days before
    """

    name: str
    number: int
    channel: Channel
    service_type: Literal["campaigns", "triggered", "rewards_notifications"]
    hour: time | None
    open_rate: float
    click_rate: float
    links: tuple[str, ...]
    is_scheduled: bool = False


NEWSLETTER = MailingType(
    "newsletter", 1, "email", "campaigns", time(9, 30), 0.34, 0.085,
    ("offers", "magazine", "shops/fashion", "malls", "my-page"),
)  # fmt: skip
SALE_EMAIL = MailingType(
    "sale",
    2,
    "email",
    "campaigns",
    time(7),
    0.38,
    0.12,
    ("sale", "shops/fashion", "shops/electronics", "opening-hours"),
)
SALE_SMS = MailingType("sale", 3, "sms", "campaigns", time(10), 0.0, 0.11, ("sale",), is_scheduled=True)
MEMBER_EVENING = MailingType(
    "member-evening", 4, "sms", "campaigns", time(15), 0.0, 0.07, ("member-evening",), is_scheduled=True
)
WEEKEND = MailingType("weekend", 5, "push", "campaigns", time(15, 30), 0.04, 0.4, ("offers",), is_scheduled=True)
WELCOME = MailingType("welcome", 6, "email", "triggered", None, 0.58, 0.16, ("my-page", "offers", "app"))
BIRTHDAY = MailingType("birthday", 7, "email", "triggered", time(8), 0.47, 0.17, ("gift", "offers"))
WE_MISS_YOU = MailingType("we-miss-you", 8, "email", "triggered", time(11), 0.16, 0.11, ("offers", "magazine"))
REWARD = MailingType("reward", 9, "push", "rewards_notifications", None, 0.09, 0.55, ("my-page",))

TRIGGERED = (WELCOME, BIRTHDAY, WE_MISS_YOU, REWARD)
"""What members set off themselves: one mailing a language, that is sent again and again."""


class Mailing(Struct, frozen=True, eq=False):
    """One message in one language; `at` is when the first dispatch goes out, of what members set off the beginning."""

    kind: MailingType
    name: str
    language: str
    at: datetime

    @property
    def external_id(self) -> str:
        """What its events name it by."""
        return f"{self.name}-{self.kind.channel}-{self.language}"

    @property
    def zone(self) -> ZoneInfo:
        """The zone whose clock it goes by."""
        return LANGUAGES[self.language]

    @property
    def scheduled_at(self) -> datetime:
        """When its dispatches were scheduled, if they are."""
        return self.at - _PLANNED_AHEAD

    def send_time(self, day: date) -> datetime:
        """When it goes out on a day."""
        return _at(day, self.kind.hour or time(12), self.zone)


def campaign_mailings(as_of: datetime, length: int) -> list[Mailing]:
    """The campaigns of so many days before an instant, and those that are scheduled until that instant, in the order of
    time.
    """
    today = as_of.astimezone(ZoneInfo(FINLAND.timezone)).date()
    days = [today + timedelta(days=day) for day in range(1 - length, _PLANNED_AHEAD.days + 1)]
    planned = [
        Mailing(kind, name, language, _at(day, kind.hour, zone))
        for day in days
        for kind, name in _on(day)
        for language, zone in LANGUAGES.items()
        if kind.hour is not None
    ]
    begun = [each for each in planned if (each.scheduled_at if each.kind.is_scheduled else each.at) < as_of]
    return sorted(begun, key=lambda mailing: (mailing.at, mailing.external_id))


def triggered_mailings(as_of: datetime, length: int) -> list[Mailing]:
    """What members set off themselves, in each language."""
    began = as_of.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=length - 1)
    return [Mailing(kind, kind.name, language, began) for kind in TRIGGERED for language in LANGUAGES]


def sending_record(mailing: Mailing) -> SendingRecord:
    """A mailing as a sending. What members set off has no number to report by, and is of no campaign."""
    kind = mailing.kind
    local = mailing.at.astimezone(mailing.zone)
    campaign = campaign_number(kind, local) if kind.service_type == "campaigns" else None
    place = _PLACES[mailing.language]
    return {
        "external_id": mailing.external_id,
        "reporting_id": None if campaign is None else campaign * 10 + place,
        "language": mailing.language,
        "channel": kind.channel,
        "service_type": kind.service_type,
        "source_id": mailing.name,
        "source_app": "journeys" if campaign is None else "campaigns",
        "source_type": kind.name,
        "audience_id": 10 * (1 + _CHANNELS.index(kind.channel)) + place,
        "campaign_id": campaign,
        "created_at": mailing.scheduled_at if campaign is not None else mailing.at,
    }


def campaign_number(kind: MailingType, day: date) -> int:
    """The number of the campaign that a kind of mailing is on a day."""
    return int(f"{day:%y%m%d}{kind.number}")


def _on(day: date) -> Iterator[tuple[MailingType, str]]:
    """What goes out on a day, and what it is called."""
    year, week, _ = day.isocalendar()
    if day.weekday() == _THURSDAY:
        yield NEWSLETTER, f"newsletter-{year}-w{week:02d}"
    if day.weekday() == _FRIDAY and week % 2 == 0:
        yield WEEKEND, f"weekend-{year}-w{week:02d}"
    if day.weekday() == _THURSDAY - 1 and day.day <= 7:
        yield MEMBER_EVENING, f"member-evening-{day:%Y-%m}"
    sale = _begins(day)
    if sale is not None:
        yield SALE_EMAIL, sale
        yield SALE_SMS, sale


def _begins(day: date) -> str | None:
    """The sale that begins on a day, by the name that its messages have."""
    sale = campaign_on(day)
    # What goes on after a day or some without it, or with a better one, was announced when it began.
    if sale is None or any(campaign_on(day - timedelta(days=before)) is sale for before in range(1, 8)):
        return None
    year, week, _ = day.isocalendar()
    return f"{sale.name.lower().replace(' ', '-')}-{year}-w{week:02d}"


def _at(day: date, hour: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, hour, zone).astimezone(UTC)
