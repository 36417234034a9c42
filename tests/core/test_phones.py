"""The country of a phone number, and none where several countries share the calling code."""

import random

import phonenumbers
import pytest

from hypothesis_settings import SEED
from regulars.core.phones import country_of


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+47 912 34 567", "NO"),
        ("0046701234567", "SE"),
        ("+4791234567", "NO"),
        ("+61 412 345 678", "AU"),
        ("+44 20 7946 0958", "GB"),
        ("+1 202 555 0123", None),
        ("+800 1234 5678", None),
        ("91234567", None),
        ("+999123", None),
        ("call me", None),
        ("", None),
        (None, None),
    ],
)
def test_an_international_number_has_a_country(number: str | None, country: str | None) -> None:
    assert country_of(number) == country


def test_spaces_in_a_number_do_not_change_its_country() -> None:
    chance = random.Random(SEED)
    for code in (*phonenumbers.COUNTRY_CODE_TO_REGION_CODE, 2, 210, 999):
        for _ in range(5):
            rest = "".join(chance.choices("0123456789", k=chance.randint(7, 11)))
            assert country_of(f"+{code}{rest}") == country_of(f"+{code} {rest}"), f"+{code}{rest}"
