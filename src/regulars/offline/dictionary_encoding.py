"""What few values become: looked up by each row instead of computed by each anew. For an engine that numbers things."""

from regulars.offline.casting import CastDialect
from regulars.offline.structures import ClubContext, PlanStep


def channels(systems: str) -> str:
    """The bits of the channels that a transaction's systems name."""
    names = f"concat(',', translate(lower({systems}), ';|[]\" ', ',,,,,'), ',')"
    return f"""nullif(
           CASE WHEN {names} LIKE '%,pos,%' THEN 1 ELSE 0 END + CASE WHEN {names} LIKE '%,web,%' THEN 2 ELSE 0 END, 0
       )"""


def system_channels() -> PlanStep:
    """The channels of each text that names systems."""
    return PlanStep(
        "known_systems",
        f"SELECT systems, CAST({channels('systems')} AS TINYINT) AS channels\n"
        f"FROM (SELECT DISTINCT systems FROM typed_transactions WHERE systems IS NOT NULL) AS named",
        is_materialized=True,
    )


def brand_dictionary(named: str) -> list[PlanStep]:
    """The distinct brands of a SELECT, numbered in the order of their names, and the list of those."""
    return [
        PlanStep(
            "fact_brands",
            f"""SELECT brand AS name, CAST(row_number() OVER (ORDER BY brand) AS INT) AS brand
FROM ({named}) AS named
WHERE brand IS NOT NULL""",
            is_materialized=True,
        ),
        PlanStep(
            "brand_names",
            "SELECT coalesce(array_agg(name ORDER BY brand), []) AS names FROM fact_brands",
            is_materialized=True,
        ),
    ]


def local_days(club: ClubContext, dialect: CastDialect) -> PlanStep:
    """Of each day in UTC the local dates that it is part of, and the instant at which the later one begins: null where
    the clock is changed on that day.
    """
    local = dialect.engine.macros["local_time"]
    day_after = "utc_day + INTERVAL 1 DAY"
    return PlanStep(
        "zone_days",
        f"""SELECT CAST(utc_day AS DATE) AS utc_day,
       CAST(utc_day + ahead AS DATE) AS earlier,
       CAST(utc_day + ahead AS DATE) + 1 AS later,
       CASE WHEN ahead = ahead_next THEN CAST(CAST(utc_day + ahead AS DATE) + 1 AS TIMESTAMP) - ahead END AS turns_at
FROM (
    SELECT utc_day,
           {local("utc_day", f"'{club.timezone}'")} - utc_day AS ahead,
           {local(day_after, f"'{club.timezone}'")} - ({day_after}) AS ahead_next
    FROM range(TIMESTAMP '1970-01-01', TIMESTAMP '2100-01-01', INTERVAL 1 DAY) AS each(utc_day)
) AS told""",
        is_materialized=True,
    )
