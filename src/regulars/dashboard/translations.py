"""Languages of the pages: texts from catalogues, numbers and dates by locale.

English texts are in the code and the templates, and are the keys of the catalogues `locale/<language>/*.po`, of which
each group of pages has one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

from babel import Locale as BabelLocale
from babel import dates, numbers
from babel.messages.catalog import Message
from babel.messages.pofile import read_po

from regulars.charts.language import format_number

Number = int | float | Decimal


@dataclass(frozen=True)
class Locale:
    """A language with its texts and its formats. `code` is that of the pages, such as nb."""

    code: str
    name: str
    babel: BabelLocale
    texts: Mapping[str, str] = field(default_factory=dict)
    plurals: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def gettext(self, text: str) -> str:
        """The text in this language; the English text if it has no translation."""
        return self.texts.get(text, text)

    def ngettext(self, singular: str, plural: str, number: int) -> str:
        """The text for a number in this language."""
        forms = self.plurals.get(singular, (singular, plural))
        return forms[0] if number == 1 else forms[1]

    def number(self, value: Number, digits: int | None = None) -> str:
        """A number with separators; with exactly `digits` decimals, or as many as it has, at most 4."""
        pattern = "#,##0.####" if digits is None else "#,##0" + ("." + "0" * digits if digits else "")
        return format_number(value, pattern, str(self.babel))

    def compact(self, value: Number) -> str:
        """A large number in few characters, such as 1.2M."""
        if -10_000 < value < 10_000:
            return self.number(value, 0)
        return numbers.format_compact_decimal(value, locale=self.babel, fraction_digits=1)

    def money(self, value: Number, currency: str, digits: int | None = None) -> str:
        """An amount with its currency; `digits` replaces the number of decimals of the currency."""
        if digits is None:
            digits = numbers.get_currency_precision(currency)
        pattern = str(self.babel.currency_formats["standard"].pattern).partition(";")[0]
        pattern = pattern.replace("0.00", "0" + ("." + "0" * digits if digits else ""))
        if numbers.get_currency_symbol(currency, self.babel) == currency:
            # A code is separated from the number, a sign such as £ is not.
            pattern = pattern.replace("¤#", "¤\u00a0#")
        return numbers.format_currency(value, currency, pattern, self.babel, currency_digits=False)

    def percent(self, fraction: Number, digits: int = 1) -> str:
        """A fraction as a percentage."""
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + "\u00a0%"
        return format_number(fraction, pattern, str(self.babel))

    def date(self, value: date, form: str = "medium") -> str:
        """A date."""
        return dates.format_date(value, form, self.babel)

    def moment(self, value: datetime, zone: tzinfo) -> str:
        """A date and time in a time zone, to the minute."""
        day = dates.format_date(value.astimezone(zone), "medium", self.babel)
        return f"{day} {dates.format_time(value.astimezone(zone), 'HH:mm', locale=self.babel)}"


def read_catalogues(code: str) -> Iterator[Message]:
    """The messages of the catalogues of a language; none for English."""
    folder = resources.files("regulars.dashboard") / "locale" / code
    if folder.is_dir():
        for file in sorted(folder.iterdir(), key=lambda each: each.name):
            with file.open("rb") as content:
                yield from (message for message in read_po(content, locale=code) if message.id)


def _load(code: str, name: str, territory: str) -> Locale:
    texts: dict[str, str] = {}
    plurals: dict[str, tuple[str, str]] = {}
    for message in read_catalogues(code):
        key: Any = message.id
        translation: Any = message.string
        if isinstance(key, str):
            texts[key] = translation
        else:
            plurals[key[0]] = (translation[0], translation[1])
    return Locale(code, name, BabelLocale.parse(territory), texts, plurals)


def translatable(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


@cache
def locales() -> Mapping[str, Locale]:
    """The languages by code; the first is the default."""
    return {"en": _load("en", "English", "en_GB"), "nb": _load("nb", "Norsk", "nb_NO")}


def choose(preferred: str, accept_language: str) -> Locale:
    """The language that a person has chosen, else the first one that the browser accepts, else English."""
    known = locales()
    if preferred in known:
        return known[preferred]
    for part in accept_language.split(",")[:20]:
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        code = {"no": "nb", "nn": "nb"}.get(code, code)
        if code in known:
            return known[code]
    return known["en"]
