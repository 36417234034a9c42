"""Where something is: the country and state that an address tells, for locations and members alike."""

from collections.abc import Mapping
from typing import Any

from regulars.facts import countries, given

COUNTRY_FIELDS = ("iso", "country")


def address(value: Mapping[str, Any]) -> dict[str, Any]:
    """An address as it is kept: whatever keys it has. Raises ValueError beyond its limits."""
    given.json(value)
    return dict(value)


def errors(value: Mapping[str, Any]) -> dict[str, str]:
    """What is wrong with the parts of an address that are understood, by path."""
    found = {}
    for name in (*COUNTRY_FIELDS, "iso_state", "state"):
        part = value.get(name)
        if part is None:
            continue
        try:
            _part(part)
            if name in COUNTRY_FIELDS and part.strip():
                countries.alpha_2(part)
        except ValueError as error:
            found[name] = str(error)
    return found


def _part(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if len(value) > given.LONGEST:
        raise ValueError(f"must be at most {given.LONGEST} characters")


def derived(value: Mapping[str, Any] | None, country_iso_3: str | None) -> dict[str, str | None]:
    """The columns country (alpha-2), iso_state and state of an address that has no errors.

    The country is the first that is present of the address's iso, its country, and `country_iso_3`.
    """
    parts = value or {}
    named = [parts.get("iso"), parts.get("country"), country_iso_3]
    country = next((each for each in named if each and each.strip()), None)
    return {
        "country": countries.alpha_2(country) if country else None,
        "iso_state": parts.get("iso_state") or None,
        "state": parts.get("state") or None,
    }
