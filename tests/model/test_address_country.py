"""The country and state of an address, and its errors."""

from typing import Any

import pytest

from regulars.model import address_country


@pytest.mark.parametrize(
    ("address", "country_iso_3", "derived"),
    [
        (None, None, (None, None, None)),
        (None, "NOR", ("NO", None, None)),
        ({"iso": "se"}, "NOR", ("SE", None, None)),
        ({"iso": " ", "country": "Czech Republic"}, "NOR", ("CZ", None, None)),
        ({"country": "united kingdom"}, None, ("GB", None, None)),
        ({"iso_state": "AU-VIC", "state": "Victoria"}, "", (None, "AU-VIC", "Victoria")),
        ({"iso_state": "", "state": ""}, None, (None, None, None)),
    ],
)
def test_the_country_and_state_of_an_address(
    address: Any, country_iso_3: str | None, derived: tuple[str | None, ...]
) -> None:
    found = address_country.country_and_state(address, country_iso_3)
    assert (found["country"], found["iso_state"], found["state"]) == derived


def test_all_errors_of_an_address_are_reported() -> None:
    address = {"iso": "Nowhere", "country": 47, "iso_state": [], "state": "x" * 256, "city": "anything"}
    assert list(address_country.address_errors(address)) == ["iso", "country", "iso_state", "state"]
    assert address_country.address_errors({"iso": "NO", "country": "", "city": 5}) == {}
