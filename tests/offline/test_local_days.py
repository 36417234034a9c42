"""The local date of a purchase, by lookup table and by conversion."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

import regulars
from offline.purchase_tables import table

AT = "2998-01-01T00:00:00Z"
DAYS = [
    datetime(1905, 6, 1, tzinfo=UTC),
    *(datetime(year, 1, 1, tzinfo=UTC) - timedelta(days=day) for year in (1970, 1990, 2050) for day in (0, 1)),
    *(datetime(2026, month, 1, tzinfo=UTC) + timedelta(days=day) for month in (3, 10, 11) for day in (0, 7, 28)),
    datetime(2026, 3, 29, tzinfo=UTC),
    datetime(2026, 10, 25, tzinfo=UTC),
    datetime(2099, 12, 31, tzinfo=UTC),
    datetime(2100, 1, 1, tzinfo=UTC),
]


@pytest.mark.parametrize("zone", ["Europe/Oslo", "America/New_York", "Asia/Kathmandu", "Pacific/Kiritimati", "UTC"])
def test_a_purchase_has_its_local_date(zone: str) -> None:
    instants = [day + timedelta(minutes=minute) for day in DAYS for minute in range(0, 1440, 15)]
    names = [f"M{number:05}" for number in range(len(instants))]
    transactions = table(
        external_id=[f"T{number:05}" for number in range(len(instants))],
        profile=names,
        transacted_at=pa.array(instants, pa.timestamp("us", "UTC")),
        total=["1"] * len(instants),
    )
    found = regulars.compute(transactions, as_of=AT, timezone=zone, values=["first_shop_date"])
    expected = [each.astimezone(ZoneInfo(zone)).date() for each in instants]
    assert found["profile_id"].to_pylist() == names
    assert found["first_shop_date"].to_pylist() == expected
