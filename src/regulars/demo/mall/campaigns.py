"""What is on sale in the malls and when: the same goods for the same reduction for every buyer."""

from datetime import date, timedelta
from functools import cache
from random import Random

from msgspec import Struct


class PriceCampaign(Struct, frozen=True):
    """A reason for which prices are reduced: for which share of the goods, and by how many per cent."""

    name: str
    share: float
    percents: tuple[int, ...]


MEMBER_PRICE = PriceCampaign("Member price", 0.12, (10, 15, 20))
_BLACK_FRIDAY = PriceCampaign("Black Friday", 0.75, (20, 30, 40, 50))
_BLACK_WEEK = PriceCampaign("Black Week", 0.5, (20, 25, 30, 40))
_JANUARY_SALE = PriceCampaign("January sale", 0.55, (30, 40, 50, 60))
_SUMMER_SALE = PriceCampaign("Summer sale", 0.4, (25, 30, 40, 50))
_MID_SEASON = PriceCampaign("Mid-season sale", 0.25, (20, 25, 30))


def black_friday(year: int) -> date:
    """The day after the fourth Thursday of November."""
    first = date(year, 11, 1)
    return first + timedelta(days=(3 - first.weekday()) % 7 + 22)


def campaign_on(day: date) -> PriceCampaign | None:
    """What is on sale on a day, the same in all malls."""
    to_black_friday = (black_friday(day.year) - day).days
    if to_black_friday == 0:
        return _BLACK_FRIDAY
    if -3 <= to_black_friday <= 4:
        return _BLACK_WEEK
    in_year = (day.month, day.day)
    if in_year >= (12, 27) or in_year <= (1, 25):
        return _JANUARY_SALE
    if (6, 20) <= in_year <= (7, 20):
        return _SUMMER_SALE
    if day.month in (4, 10) and day.day <= 10 and day.weekday() >= 3:
        return _MID_SEASON
    return None


@cache
def percent_off(campaign: PriceCampaign, product: str) -> int:
    """By how many per cent a campaign reduces a product, or 0: the same in all shops and for all buyers."""
    dice = Random(f"{product} in {campaign.name}")
    return dice.choice(campaign.percents) if dice.random() < campaign.share else 0
