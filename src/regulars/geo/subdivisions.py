"""Codes of subdivisions of countries (ISO 3166-2), such as states, by code or name."""

from functools import lru_cache

import pycountry

from regulars.geo.towns.normalize import normalize


@lru_cache(maxsize=1)
def _codes_by_name() -> dict[tuple[str, str], str]:
    """The codes of subdivisions, without the country, by country and normalized name."""
    return {(each.country_code, normalize(each.name)): each.code[3:] for each in pycountry.subdivisions}


def subdivision_code(country: str, text: str | None) -> str | None:
    """The ISO 3166-2 code without the country: `IL` for `IL`, `US-IL` and `Illinois`; None for an empty text."""
    if text is None or not text.strip():
        return None
    known = _codes_by_name().get((country, normalize(text)))
    return known or text.strip().upper().removeprefix(f"{country}-")
