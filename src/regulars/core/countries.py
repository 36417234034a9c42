"""Countries: stored as ISO 3166-1 alpha-2, accepted as alpha-2, alpha-3 or English name."""

from functools import lru_cache

import pycountry

# Names in wide use that ISO 3166 does not list.
_COMMON_NAMES = {
    "eire": "IE",
    "republic of ireland": "IE",
    "rsa": "ZA",
    "u.k.": "GB",
    "u.s.": "US",
    "u.s.a.": "US",
    "uae": "AE",
    # They have no code in common; Jersey is the largest of them.
    "channel islands": "JE",
    "the netherlands": "NL",
    "brunei": "BN",
    "korea": "KR",
    "republic of korea": "KR",
    "macau": "MO",
    "palestine": "PS",
    "micronesia": "FM",
    "curacao": "CW",
    "reunion": "RE",
    "england": "GB",
    "great britain": "GB",
    "northern ireland": "GB",
    "scotland": "GB",
    "wales": "GB",
    "uk": "GB",
    "usa": "US",
    "united states of america": "US",
    "south korea": "KR",
    "north korea": "KP",
    "russia": "RU",
    "turkey": "TR",
    "czech republic": "CZ",
    "ivory coast": "CI",
    "cape verde": "CV",
    "swaziland": "SZ",
    "macedonia": "MK",
    "burma": "MM",
    "holland": "NL",
    "vatican": "VA",
}


@lru_cache(maxsize=1)
def codes_by_name() -> dict[str, str]:
    """The alpha-2 code by each accepted code and name, in lower case."""
    codes = dict(_COMMON_NAMES)
    for country in pycountry.countries:
        for attribute in ("alpha_2", "alpha_3", "name", "common_name", "official_name"):
            if name := getattr(country, attribute, None):
                codes[name.casefold()] = country.alpha_2
    return codes


def alpha_2(text: str) -> str:
    """The ISO 3166-1 alpha-2 code of a country. Raises ValueError for an unknown one."""
    code = codes_by_name().get(text.strip().casefold())
    if code is None:
        raise ValueError("must be a country: ISO 3166-1 alpha-2, alpha-3, or its English name")
    return code


@lru_cache(maxsize=512)
def alpha_3(code: str) -> str:
    """The ISO 3166-1 alpha-3 code of an alpha-2 code."""
    return str(pycountry.countries.lookup(code).alpha_3)
