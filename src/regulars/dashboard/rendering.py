"""Templates rendered to HTML in the language of the visitor."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined

from regulars.auth.tenants import Tenant
from regulars.dashboard.page import Page, Section
from regulars.dashboard.static_files import static_url
from regulars.dashboard.translations import Locale, locales
from regulars.dashboard.visit import Visit

NO_VALUE = "–"
"""Shown where a value is unknown."""


@cache
def _environment(code: str) -> Environment:
    """The templates with the texts and formats of a language."""
    environment = Environment(
        loader=PackageLoader("regulars.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    locale = locales()[code]
    environment.install_gettext_callables(locale.gettext, locale.ngettext, newstyle=True)  # type: ignore[attr-defined]
    environment.filters |= _filters(locale)
    environment.globals |= {"static": static_url, "no_value": NO_VALUE}
    return environment


def _filters(locale: Locale) -> Mapping[str, Any]:
    def number(value: Any, digits: int | None = None) -> str:
        return NO_VALUE if value is None else locale.number(value, digits)

    def compact(value: Any) -> str:
        return NO_VALUE if value is None else locale.compact(value)

    def money(value: Any, club: Tenant, digits: int | None = None) -> str:
        return NO_VALUE if value is None else locale.money(value, club.currency, digits)

    def percent(value: Any, digits: int = 1) -> str:
        return NO_VALUE if value is None else locale.percent(value, digits)

    def day(value: Any, form: str = "medium") -> str:
        return NO_VALUE if value is None else locale.date(as_date(value), form)

    def moment(value: Any, club: Tenant) -> str:
        return NO_VALUE if value is None else locale.moment(as_instant(value), ZoneInfo(club.timezone))

    def change(value: Any, before: Any) -> float | None:
        """The relative change; None if it can't be computed."""
        if value is None or not before:
            return None
        return float((Decimal(value) - Decimal(before)) / abs(Decimal(before)))

    return {
        "number": number,
        "compact": compact,
        "money": money,
        "percent": percent,
        "date": day,
        "moment": moment,
        "change": change,
    }


def as_date(value: object) -> date:
    """A date of the APIs, which may be text."""
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value)[:10])


def as_instant(value: object) -> datetime:
    """An instant of the APIs, which may be text and is in UTC without an offset."""
    instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


def render(template: str, visit: Visit, page: Page, entries: Iterable[Page], values: Mapping[str, Any]) -> str:
    """The HTML of a page. Raises jinja2.UndefinedError if the template needs a value that is missing."""
    return (
        _environment(visit.locale.code)
        .get_template(template)
        .render(
            {
                "visit": visit,
                "page": page,
                "entries": entries,
                "locales": locales().values(),
                "Section": Section,
                **values,
            }
        )
    )
