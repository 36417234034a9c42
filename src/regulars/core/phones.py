"""Phone numbers: their country, and their international form."""

import re

import phonenumbers

_PLAIN = re.compile(r"\+[1-9][0-9]{7,13}")
"""The form of most numbers. Where the calling code belongs to one country, the rest need not be parsed."""

_INTERNATIONAL = re.compile(r"(?:\+|00)[\d\s().\-/]+")


EXPONENT = re.compile(r"[+]?[0-9]+(?:[.,][0-9]*)?[eE][+]?[0-9]+")
"""The form of a number with an exponent."""


def has_exponent(text: str) -> bool:
    """Whether a text is a number with an exponent, as spreadsheets write long numbers: its last digits are lost."""
    return EXPONENT.fullmatch(text) is not None


def to_e164(number: str | None, country: str) -> str | None:
    """The number in the form of E.164, such as +4791234567; None for a text that is no phone number.

    A number without a calling code is one of the country, an ISO 3166-1 alpha-2 code.
    """
    text = (number or "").strip()
    if not text:
        return None
    if _PLAIN.fullmatch(text) and (length := _calling_code_length(text)) and text[length] not in "01":
        return text
    try:
        parsed = phonenumbers.parse(re.sub(r"^00", "+", text), country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed):
        return None
    found: str = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return found


def _calling_code_length(text: str) -> int | None:
    codes = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((end for end in (2, 3, 4) if int(text[1:end]) in codes), None)


def country_of(number: str | None) -> str | None:
    """The ISO 3166-1 alpha-2 code of an international number (`+` or `00` first).

    None for other numbers, and where several countries share the calling code, as those of +1 do.
    """
    text = (number or "").strip()
    if _PLAIN.fullmatch(text) and (regions := _regions(text)) and len(regions) == 1:
        return _country_or_none(regions[0])
    if not _INTERNATIONAL.fullmatch(text):
        return None
    try:
        parsed = phonenumbers.parse(re.sub(r"^00", "+", text))
    except phonenumbers.NumberParseException:
        return None
    code = parsed.country_code
    if code is None or code == 1:
        return None
    regions = phonenumbers.region_codes_for_country_code(code)
    region = regions[0] if len(regions) == 1 else phonenumbers.region_code_for_number(parsed)
    return _country_or_none(region)


def _regions(text: str) -> tuple[str, ...]:
    """The regions of the calling code of a number. No code is the beginning of another one."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((regions[code] for end in (2, 3, 4) if (code := int(text[1:end])) in regions), ())


def _country_or_none(region: str | None) -> str | None:
    # 001 is the region of numbers without a country, such as +800.
    return region if region and region.isalpha() else None
