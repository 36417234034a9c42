"""When failed deliveries are repeated: a back-off over three days with jitter, unless the receiver names a time."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

DELAYS_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200)
"""Delays after the first, second, ... failed attempt; the last one repeats."""

GIVE_UP_AFTER = timedelta(days=3)
"""A webhook is disabled if a delivery still fails this long after its first attempt."""

JITTER = 0.2
"""Delays vary by this fraction, so that the deliveries of an outage are not repeated all together."""

MIN_RETRY_AFTER_SECONDS = 1.0
MAX_RETRY_AFTER_SECONDS = 43_200.0
"""Bounds of what a receiver may name in Retry-After."""


def delay_seconds(attempts: int, retry_after: float | None = None) -> float:
    """The seconds until the next attempt after `attempts` failed ones; `retry_after` is what the receiver named."""
    if retry_after is not None:
        return min(max(retry_after, MIN_RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
    delay = DELAYS_SECONDS[min(attempts, len(DELAYS_SECONDS)) - 1]
    return delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - it spreads load, and is no secret


def parse_retry_after(text: str | None, now: datetime) -> float | None:
    """The seconds in a Retry-After header: a number, or a date; None without a valid one."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return ((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds()
