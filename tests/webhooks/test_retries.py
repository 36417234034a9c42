"""When deliveries are repeated."""

from datetime import UTC, datetime

import pytest

from regulars.webhooks.retries import DELAYS_SECONDS, JITTER, delay_seconds, parse_retry_after

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("attempts", range(1, 14))
def test_the_delay_grows_to_twelve_hours(attempts: int) -> None:
    expected = DELAYS_SECONDS[min(attempts, 10) - 1]
    for _ in range(20):
        assert expected * (1 - JITTER) <= delay_seconds(attempts) <= expected * (1 + JITTER)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("30", 30),
        ("9" * 40, 999_999_999),
        ("Sun, 01 Nov 2026 00:02:00 GMT", 120),
        ("Sun, 01 Nov 2026 00:02:00 -0000", 120),
        ("soon", None),
        ("Mon, 01 Jan 99999999999999999999 00:00:00 GMT", None),
        ("-5", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(text: str | None, seconds: float | None) -> None:
    assert parse_retry_after(text, NOW) == seconds
