"""The country that a phone number tells."""

import re

import phonenumbers

_PLAIN = re.compile(r"\+[1-9][0-9]{7,13}")
"""As numbers mostly come: no more than their code has to be read, where it is of one country."""

_INTERNATIONAL = re.compile(r"(?:\+|00)[\d\s().\-/]+")


def country_of(number: str | None) -> str | None:
    """ISO 3166-1 alpha-2 of an international number (`+` or `00` first).

    None where there is no number, it does not say its country, or several share the code, as those of +1 do.
    """
    text = (number or "").strip()
    if _PLAIN.fullmatch(text) and (regions := _regions(text)) and len(regions) == 1:
        return _of_a_country(regions[0])
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
    return _of_a_country(region)


def _regions(text: str) -> tuple[str, ...]:
    """The regions that share the code that a number begins with: no code is another's beginning."""
    known = phonenumbers.COUNTRY_CODE_TO_REGION_CODE
    return next((known[code] for end in (2, 3, 4) if (code := int(text[1:end])) in known), ())


def _of_a_country(region: str | None) -> str | None:
    # 001 stands for what belongs to no country, such as +800.
    return region if region and region.isalpha() else None
