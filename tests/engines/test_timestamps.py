"""Times without an offset are local: a repeated hour is the first, a skipped one moves forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from aggregations.histories import ERAS, ZONES
from engines.compute_fixtures import compute_on_duckdb
from hypothesis_settings import SEED

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def wall_times(random: Random) -> list[tuple[str, datetime]]:
    """Zones with wall-clock times around the instants in which something is odd, and with any."""
    odd = [datetime.fromisoformat(text).replace(tzinfo=UTC) for texts in ERAS.values() for text in texts]
    near = [
        (zone, at.astimezone(ZoneInfo(zone)).replace(tzinfo=None) + timedelta(minutes=minutes))
        for zone in ZONES
        for at in odd
        for minutes in range(-180, 181, 10)
    ]
    first = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
    anywhere = [(random.choice(ZONES), first + timedelta(minutes=random.randrange(13_000_000))) for _ in range(500)]
    return sorted({*near, *anywhere})


WALL_TIMES = wall_times(Random(SEED))
INSTANTS = [wall.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC) for zone, wall in WALL_TIMES]


def test_the_examples_include_skipped_and_repeated_times() -> None:
    back = [at.astimezone(ZoneInfo(zone)) for (zone, _), at in zip(WALL_TIMES, INSTANTS, strict=True)]
    is_skipped = [now.replace(tzinfo=None) != wall for now, (_, wall) in zip(back, WALL_TIMES, strict=True)]
    is_repeated = [now.replace(fold=1).utcoffset() != now.utcoffset() for now in back]
    assert sum(is_skipped) > 20
    assert sum(is_repeated) > 20


def test_a_local_time_is_the_instant_in_its_time_zone() -> None:
    numbers = range(len(WALL_TIMES))
    transactions = pa.table(
        {
            "external_id": [f"{number}" for number in numbers],
            "profile": [f"{number:06}" for number in numbers],
            "transacted_at": [wall.isoformat() for _, wall in WALL_TIMES],
            "timezone": [zone for zone, _ in WALL_TIMES],
            "total": ["1.00" for _ in numbers],
        }
    )
    values = compute_on_duckdb(transactions, as_of=NOW, currency="EUR")
    assert wrong_instants(values["spend_first_date"].to_pylist()) == []
    days = [at.astimezone(ZoneInfo(zone)).date() for (zone, _), at in zip(WALL_TIMES, INSTANTS, strict=True)]
    assert values["first_shop_date"].to_pylist() == days


def test_spark_converts_local_times_in_the_same_way(spark: Any) -> None:
    from regulars.offline.engines.spark import SparkEngine

    engine = SparkEngine(spark)
    wall_times = [(f"{number}", zone, wall.isoformat()) for number, (zone, wall) in enumerate(WALL_TIMES)]
    engine.create_lookup("walls", ("number", "zone", "wall"), wall_times)
    at = engine.dialect.engine.macros["instant_of"]("CAST(wall AS TIMESTAMP)", "zone")
    day = engine.dialect.engine.macros["local_date"]("at", "zone")
    rows = engine.fetch(f"""
        SELECT CAST(at AS STRING), {day}
        FROM (SELECT number, zone, {at} AS at FROM walls) AS read
        ORDER BY CAST(number AS INT)
    """)
    assert wrong_instants([datetime.fromisoformat(text).replace(tzinfo=UTC) for text, _ in rows]) == []
    days = [at.astimezone(ZoneInfo(zone)).date() for (zone, _), at in zip(WALL_TIMES, INSTANTS, strict=True)]
    assert [day for _, day in rows] == days


def wrong_instants(instants: list[datetime]) -> list[object]:
    """The wall-clock times that became another instant than they are."""
    every = zip(WALL_TIMES, instants, INSTANTS, strict=True)
    return [(wall, said, at) for wall, said, at in every if said != at]
