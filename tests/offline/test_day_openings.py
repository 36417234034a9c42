"""Which sale is the first of its day: from the order of the facts, and from a window over each day."""

import random

import duckdb
import pytest

from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.transaction_facts import in_order_of_days, with_day_openings

ORDER = "ORDER BY profile, transacted_on, direction <> 1, transacted_at"


def engine_with_facts(seed: int) -> DuckDBEngine:
    """An engine with 20,000 facts of 300 profiles on 40 days, some at the same instant and some anonymous."""
    engine = DuckDBEngine()
    engine.connection.execute("SET threads = 4")
    print("seed", seed)
    engine.connection.execute(f"SELECT setseed({random.Random(seed).random()})")
    engine.connection.execute(
        """CREATE TABLE facts AS
SELECT CAST(nullif(floor(random() * 300), 7) AS INT) AS profile, instant AS transacted_at,
       CAST(instant + INTERVAL 5 HOUR AS DATE) AS transacted_on, CAST(floor(random() * 3) - 1 AS TINYINT) AS direction
FROM (SELECT TIMESTAMP '2026-01-01' + to_hours(CAST(floor(random() * 960) AS INT)) AS instant FROM range(20000)) AS each"""
    )
    return engine


def test_the_order_of_the_facts_and_a_window_say_the_same() -> None:
    engine = engine_with_facts(random.randrange(2**32))
    # Of several first sales at one instant either may be the first of the day.
    named = "SELECT * FROM ({}) AS facts WHERE profile IS NOT NULL"
    ordered, grouped = (named.format(sql) for sql in (in_order_of_days("FROM facts"), with_day_openings("FROM facts")))
    ((differing,),) = engine.fetch(
        f"SELECT count(*) FROM ((({ordered}) EXCEPT ALL ({grouped})) UNION ALL (({grouped}) EXCEPT ALL ({ordered})))"
    )
    assert not differing
    ((opened, days),) = engine.fetch(
        f"""SELECT count(*) FILTER (WHERE opens_day),
       (SELECT count(*) FROM (SELECT DISTINCT profile, transacted_on FROM facts WHERE direction = 1 AND profile >= 0))
FROM ({ordered}) AS facts"""
    )
    assert opened == days > 5_000


@pytest.mark.parametrize("order", ["", "ORDER BY profile", "ORDER BY profile, transacted_on"])
def test_facts_in_another_order_raise_an_error(order: str) -> None:
    engine = engine_with_facts(1)
    statement = in_order_of_days("FROM facts")
    assert ORDER in statement
    with pytest.raises(duckdb.Error, match="facts are not in the order of days"):
        engine.connection.execute(statement.replace(ORDER, order)).fetchall()
