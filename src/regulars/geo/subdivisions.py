"""States of countries, by their codes and names."""

from functools import lru_cache

import pycountry

from regulars.geo.towns.normalize import normalize


@lru_cache(maxsize=1)
def _states() -> dict[tuple[str, str], str]:
    """The ISO 3166-2 codes of states without their country, by country and name."""
    return {(each.country_code, normalize(each.name)): each.code[3:] for each in pycountry.subdivisions}


def subdivision_code(country: str, text: str | None) -> str | None:
    """A state as ISO 3166-2 without the country: `IL` for `IL`, `US-IL` and `Illinois`; None for none."""
    if text is None or not text.strip():
        return None
    known = _states().get((country, normalize(text)))
    return known or text.strip().upper().removeprefix(f"{country}-")
