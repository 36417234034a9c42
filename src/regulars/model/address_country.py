"""The country and state of an address, of locations and profiles."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from regulars.core import countries, validation

COUNTRY_FIELDS = ("iso", "country")

MAX_DEGREES = {"latitude": 90, "longitude": 180}
"""The maximum absolute value of each coordinate."""


def check_address(value: Mapping[str, Any]) -> dict[str, Any]:
    """Validates the size of an address with any keys. Raises ValueError."""
    validation.check_json(value)
    return dict(value)


def address_errors(value: Mapping[str, Any]) -> dict[str, str]:
    """The errors of the known parts of an address, by path."""
    errors = {}
    for name in (*COUNTRY_FIELDS, "iso_state", "state"):
        part = value.get(name)
        if part is None:
            continue
        try:
            _check_part(part)
            if name in COUNTRY_FIELDS and part.strip():
                countries.alpha_2(part)
        except ValueError as error:
            errors[name] = str(error)
    for name, limit in MAX_DEGREES.items():
        if not _is_degrees(value.get(name), limit):
            errors[name] = f"must be a number of degrees from -{limit} to {limit}"
    return errors


def _is_degrees(value: object, limit: int) -> bool:
    """Whether a value is a number of that range or its text; None and the empty text are allowed."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return False
    try:
        # A number with a huge exponent is infinite as a float.
        return -limit <= float(value) <= limit
    except (ValueError, OverflowError):
        return False


def _check_part(value: object) -> None:
    if not isinstance(value, str):
        raise ValueError("must be a text")
    if len(value) > validation.MAX_TEXT_LENGTH:
        raise ValueError(f"must be at most {validation.MAX_TEXT_LENGTH} characters")


def country_and_state(value: Mapping[str, Any] | None, country_iso_3: str | None) -> dict[str, str | None]:
    """The columns country (alpha-2), iso_state and state of a valid address.

    The country is the first present one of the address's iso, its country, and `country_iso_3`.
    """
    parts = value or {}
    candidates = [parts.get("iso"), parts.get("country"), country_iso_3]
    country = next((each for each in candidates if each and each.strip()), None)
    return {
        "country": countries.alpha_2(country) if country else None,
        "iso_state": parts.get("iso_state") or None,
        "state": parts.get("state") or None,
    }
