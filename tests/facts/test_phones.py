"""The country of a phone number: what it says itself, and nothing where several countries share it."""

import pytest

from regulars.facts.phones import country


@pytest.mark.parametrize(
    ("number", "told"),
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
def test_a_number_tells_its_country_or_nothing(number: str | None, told: str | None) -> None:
    assert country(number) == told
