"""The values of a member as people read them: in groups, with names, units and meanings."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from regulars.dashboard.rendering import NO_VALUE, as_date, as_instant
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

GROUPS = {
    "spend": translatable("Spend"),
    "purchases": translatable("Purchases"),
    "dimensions": translatable("Classification"),
    "stores": translatable("Stores"),
    "brands": translatable("Brands"),
    "country": translatable("Likely home"),
}
"""The titles of the groups, in the order in which they are shown."""

LABELS = {
    "shop_days": translatable("Days between shop days"),
    "spend_12m": translatable("Spend in 12 months before the last purchase"),
    "spend_all": translatable("Spend of all time"),
    "spend_atv_12m": translatable("Average purchase in these 12 months"),
    "spend_atv_all": translatable("Average purchase of all time"),
    "spend_first_date": translatable("First transaction"),
    "spend_last_date": translatable("Last transaction"),
    "dimension_frequency": translatable("Frequency"),
    "dimension_recency": translatable("Recency"),
    "dimension_join": translatable("Length of membership"),
    "channel": translatable("Channel"),
    "shop_count": translatable("Number of purchases"),
    "store_join": translatable("Store of the first purchase"),
    "likely_country": translatable("Country"),
    "likely_country_score": translatable("Confidence in the country"),
    "purchased_brands": translatable("Purchased brands"),
    "most_transacted_location": translatable("Store with the most purchases"),
    "spend_12m_now": translatable("Spend in the last 12 months"),
    "discount_avg": translatable("Average discount"),
    "first_shop_date": translatable("First shop day"),
    "second_shop_date": translatable("Second shop day"),
    "previous_shop_date": translatable("Shop day before the last"),
    "latest_shop_date": translatable("Last shop day"),
    "first_shop_days": translatable("From joining to the first shop day"),
    "second_shop_days": translatable("From the first to the second shop day"),
    "latest_shop_days": translatable("Between the last two shop days"),
    "average_shop_days": translatable("Average interval of shop days"),
    "total_shop_days": translatable("Number of shop days"),
    "at_risk_date": translatable("At risk from"),
    "latest_shop_spend": translatable("Spend on the last shop day"),
    "latest_shop_currency": translatable("Currency of the last shop day"),
    "join_hour": translatable("Hour of joining, UTC"),
    "join_day": translatable("Weekday of joining, UTC"),
    "latest_transacted_location": translatable("Store of the last purchase"),
    "most_spend_location": translatable("Store with the most spend"),
    "most_spend_12m_location": translatable("Store with the most spend in 12 months"),
    "transacted_locations": translatable("Stores of purchases"),
    "likely_country_iso": translatable("Country, ISO 3166-1 alpha-3"),
    "likely_country_iso_score": translatable("Confidence in the country code"),
    "likely_state_iso": translatable("State, ISO 3166-2"),
    "likely_state_iso_score": translatable("Confidence in the state code"),
    "likely_region": translatable("Region"),
    "likely_region_score": translatable("Confidence in the region"),
}
"""The names of values; one without is shown by its name in the API."""


MAX_TEXTS = 5
"""The texts of a list that are shown beside each other."""


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A value as text. `code` is that of a classification, whose meaning is the text."""

    name: str
    label: str
    text: str
    meaning: str
    code: str
    is_number: bool


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """Values that belong together."""

    title: str
    values: Sequence[ShownValue]


def shown_groups(visit: Visit, declared: Sequence[Mapping[str, Any]], values: Mapping[str, Any]) -> list[ShownGroup]:
    """The values of a member in their groups, as the API declares them."""
    groups = []
    for group, title in GROUPS.items():
        shown = [shown_value(visit, each, values.get(each["name"])) for each in declared if each["group"] == group]
        groups.append(ShownGroup(title, [each for each in shown if each is not None]))
    return groups


def shown_value(visit: Visit, declared: Mapping[str, Any], value: Any) -> ShownValue | None:
    """A value as text; None for a value that is always null."""
    form = _FORMS.get(declared["type"])
    if form is None:
        return None
    name, codes = declared["name"], declared["codes"]
    is_code = bool(codes) and value is not None
    meaning = codes.get(value, "") if is_code else ""
    text = visit.locale.gettext(meaning) if meaning else NO_VALUE if value is None else form(visit, declared, value)
    return ShownValue(
        name,
        visit.locale.gettext(LABELS.get(name, name)),
        text,
        visit.locale.gettext(declared["description"]),
        str(value) if is_code else "",
        declared["type"] in _NUMBERS,
    )


def _money(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    return visit.locale.money(value, declared["unit"])


def _integer(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    number = visit.locale.number(value)
    if declared["unit"] == "days":
        return visit.locale.ngettext("%(n)s day", "%(n)s days", value) % {"n": number}
    return number


def _percentage(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    return visit.locale.percent(Decimal(value) / 100, 2)


def _text(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    if declared["name"] == "likely_country":
        return str(visit.locale.babel.territories.get(str(value), value))
    return str(value)


def _location(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    return str(value.get("name") or value.get("external_id") or value["id"])


def _locations(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    number = len(value)
    return visit.locale.ngettext("%(n)s store", "%(n)s stores", number) % {"n": visit.locale.number(number)}


def _texts(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    first = ", ".join(map(str, value[:MAX_TEXTS])) or NO_VALUE
    more = len(value) - MAX_TEXTS
    return visit.locale.gettext("%(first)s and %(n)s more") % {"first": first, "n": more} if more > 0 else first


def _moment(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    return visit.locale.moment(as_instant(value), ZoneInfo(visit.one_club.timezone))


def _date(visit: Visit, declared: Mapping[str, Any], value: Any) -> str:
    return visit.locale.date(as_date(value))


_FORMS: Mapping[str, Callable[[Visit, Mapping[str, Any], Any], str]] = {
    "decimal": _money,
    "integer": _integer,
    "percentage": _percentage,
    "code": _text,
    "string": _text,
    "ISO 3166-1 alpha-3": _text,
    "location": _location,
    "list of location ids": _locations,
    "list of strings": _texts,
    "datetime UTC": _moment,
    "date": _date,
}

_NUMBERS = frozenset({"decimal", "integer", "percentage"})


def shown_changes(
    visit: Visit, declared: Mapping[str, Any], changes: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, ShownValue]]:
    """The history of a value, the latest first, each with its time in words."""
    zone = ZoneInfo(visit.one_club.timezone)
    for change in reversed(changes):
        shown = shown_value(visit, declared, change["value"])
        if shown is not None:
            yield visit.locale.date(as_instant(change["at"]).astimezone(zone)), shown
