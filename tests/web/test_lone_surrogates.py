"""Lone surrogates in JSON are replaced, and everything else is returned unchanged."""

import pytest

from regulars.web.lone_surrogates import MAX_BYTES, MAX_ESCAPES, replace_lone_surrogates


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'"\ud83d\ude00"', rb'"\ud83d\ude00"'),
        (rb'"\ud83d"', rb'"\u0000"'),
        (rb'"\ude00"', rb'"\u0000"'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\u0000\ud83d\ude00"'),
        (rb'"\ud83d \ude00"', rb'"\u0000 \u0000"'),
        (rb'"\\ud83d"', rb'"\\ud83d"'),
        (rb'"\\\ud83d"', rb'"\\\u0000"'),
        (rb'"\u00e5"', rb'"\u00e5"'),
    ],
)
def test_only_a_surrogate_without_its_other_half_is_replaced(body: bytes, expected: bytes) -> None:
    assert replace_lone_surrogates(body) == expected


@pytest.mark.parametrize("body", [rb"\ud83d" * (MAX_ESCAPES + 1), rb"\ud83d" + b" " * MAX_BYTES])
def test_a_body_that_is_too_large_is_returned_unchanged(body: bytes) -> None:
    assert replace_lone_surrogates(body) == body
