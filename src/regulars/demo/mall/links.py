"""Visits of the club's pages: from messages, from offers, and from elsewhere, by members known and by browsers.

A browser has a cookie, which identifies it where the member is unknown.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, time, timedelta
from hashlib import blake2b
from random import Random
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from regulars.demo.mall.calendar import draw_online_minute
from regulars.demo.mall.countries import COUNTRIES
from regulars.demo.mall.dispatches import DispatchEvent
from regulars.demo.mall.mailings import Mailing
from regulars.demo.mall.offer_redemption import OfferInteraction
from regulars.demo.mall.window import HistoryWindow
from regulars.demo.rows import LinkVisitRecord

_SITE = "https://www.lyngtorget.example"
_SHORT = "https://lyng.example"

_LOST = 0.04
_UNKNOWN = 0.15
_FORWARDED = 0.05
_SECOND_DEVICE = 0.3

_SOURCES = {"email": "newsletter", "sms": "sms", "push": "app"}

# Other sources of visits: how often per day and country, and to which pages.
_ELSEWHERE = (
    ("facebook", "paid-social", 1.2, ("offers", "join")),
    ("instagram", "paid-social", 0.9, ("shops/fashion", "join")),
    ("poster", "qr", 0.6, ("join", "app")),
    ("receipt", "qr", 0.4, ("my-page",)),
    ("google", "cpc", 1.0, ("opening-hours", "offers")),
)


def message_visits(events: Iterable[DispatchEvent], seed: int) -> Iterator[LinkVisitRecord]:
    """The visits that followed on clicks: nearly all load the page, and some pass the link on."""
    for event in events:
        if event.link is None:
            continue
        external_id = f"{event.dispatch}-{event.number}"
        dice = Random(f"visit {external_id} of {seed}")
        member = event.recipient.member.external_id
        url = _url_of(event.mailing, event.link)
        if dice.random() >= _LOST:
            at = event.at + timedelta(seconds=0.4 + 2 * dice.random())
            yield _visit(
                external_id,
                at,
                url,
                sending=event.mailing.external_id,
                profile=member if dice.random() >= _UNKNOWN else None,
                visitor=_cookie(member, 2 if dice.random() < _SECOND_DEVICE else 1, seed),
            )
        if dice.random() < _FORWARDED:
            at = event.at + timedelta(hours=dice.expovariate(0.3))
            visitor = _cookie(external_id, 1, seed)
            yield _visit(f"{external_id}-f", at, url, sending=event.mailing.external_id, visitor=visitor)


def offer_visits(touches: Iterable[OfferInteraction], seed: int) -> Iterator[LinkVisitRecord]:
    """The visits of the page of an offer by those who opened it in the app."""
    for touch in touches:
        if touch.event != "clicked":
            continue
        offer, recipient = touch.offer, touch.recipient
        external_id = f"{offer.external_id}-{touch.number}"
        member = None if recipient is None else recipient.member.external_id
        language = offer.shop.country.language if recipient is None else recipient.language
        yield _visit(
            external_id,
            touch.at + timedelta(milliseconds=700),
            f"{_SITE}/{language}/offers/{offer.shop.external_id.lower()}?"
            + urlencode({"utm_source": "app", "utm_medium": "offer", "utm_campaign": offer.kind.replace("_", "-")}),
            offer=offer.external_id,
            profile=member,
            visitor=_cookie(member or external_id, 1, seed),
        )


def organic_visits(period: HistoryWindow) -> Iterator[LinkVisitRecord]:
    """Visits that neither a message nor an offer led to, day by day: by browsers that come once or again."""
    today = period.as_of.date()
    for back in range(period.days - 1, -1, -1):
        day = today - timedelta(days=back)
        for country in COUNTRIES:
            dice = Random(f"visits of {country.iso} on {day} of {period.seed}")
            zone = ZoneInfo(country.timezone)
            for source, medium, often, pages in _ELSEWHERE:
                for number in range(_about(often * period.size_factor, dice)):
                    hour, minute = divmod(draw_online_minute(dice.random()), 60)
                    at = datetime.combine(day, time(hour, minute, int(60 * dice.random())), zone)
                    campaign = "always-on" if medium == "cpc" else f"{source}-{day:%Y-%m}"
                    query = urlencode({"utm_source": source, "utm_medium": medium, "utm_campaign": campaign})
                    browser = f"{country.iso} {dice.randrange(max(round(400 * period.size_factor), 1))}"
                    yield _visit(
                        f"{source}-{country.iso}-{day:%y%m%d}-{number}",
                        at.astimezone(UTC),
                        f"{_SITE}/{country.language}/{dice.choice(pages)}?{query}",
                        visitor=_cookie(browser, 1, period.seed),
                    )


def _visit(
    external_id: str,
    at: datetime,
    url: str,
    *,
    visitor: str,
    sending: str | None = None,
    offer: str | None = None,
    profile: str | None = None,
) -> LinkVisitRecord:
    return {
        "external_id": external_id,
        "at": at,
        "url": url,
        "sending": sending,
        "offer": offer,
        "profile": profile,
        "visitor": visitor,
    }


def _url_of(mailing: Mailing, link: int) -> str:
    """Where a link of a message leads: text messages have short ones."""
    page = mailing.kind.links[link]
    utm = {
        "utm_source": _SOURCES[mailing.kind.channel],
        "utm_medium": mailing.kind.channel,
        "utm_campaign": mailing.name,
    }
    if mailing.kind.channel == "sms":
        return f"{_SHORT}/{page}?{urlencode(utm)}"
    return f"{_SITE}/{mailing.language}/{page}?{urlencode({**utm, 'utm_content': f'link-{link + 1}'})}"


def _cookie(whose: str, device: int, seed: int) -> str:
    return blake2b(f"{whose} on {device} of {seed}".encode(), digest_size=8).hexdigest()


def _about(mean: float, dice: Random) -> int:
    """A number that is drawn about a mean."""
    return max(round(dice.gauss(mean, mean**0.5)), 0)
