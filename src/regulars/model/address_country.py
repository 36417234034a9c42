"""Where something is: the country and state that an address tells, for locations and members alike."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from regulars.core import countries, validation

COUNTRY_FIELDS = ("iso", "country")

MAX_DEGREES = {"latitude": 90, "longitude": 180}
"""The coordinates of an address, and how far from 0 each may be."""


def check_address(value: Mapping[str, Any]) -> dict[str, Any]:
    """An address as it is kept: whatever keys it has. Raises ValueError beyond its limits."""
    validation.check_json(value)
    return dict(value)


def address_errors(value: Mapping[str, Any]) -> dict[str, str]:
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
    for name, most in MAX_DEGREES.items():
        if not _is_degrees(value.get(name), most):
            found[name] = f"must be a number of degrees from -{most} to {most}"
    return found


def _is_degrees(value: object, most: int) -> bool:
    """Whether a value is a number within a range, as a number or as text; None and empty text are allowed."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return False
    try:
        # A number with a huge exponent is infinite as a float.
        return -most <= float(value) <= most
    except (ValueError, OverflowError):
        return False


def _part(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if len(value) > validation.MAX_TEXT_LENGTH:
        raise ValueError(f"must be at most {validation.MAX_TEXT_LENGTH} characters")


def country_and_state(value: Mapping[str, Any] | None, country_iso_3: str | None) -> dict[str, str | None]:
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
