"""Lookup tables for columns with few distinct values, for engines that use ordinals."""

from regulars.offline.casting import CastDialect
from regulars.offline.structures import ClubContext, PlanStep
from regulars.offline.text_functions import ANY_BLANKS, TextFunctions


def channels(systems: str, text: TextFunctions) -> str:
    """Bits of the channels of a transaction (1 pos, 2 web), from its systems."""
    names = f"translate(lower({systems}), ';|[]\"', ',,,,,')"
    bits = " + ".join(
        f"CASE WHEN {text.matches(names, f'(?s:.*,)?{ANY_BLANKS}{name}{ANY_BLANKS}(?s:,.*)?')} THEN {bit} ELSE 0 END"
        for name, bit in (("pos", 1), ("web", 2))
    )
    return f"nullif({bits}, 0)"


def system_channels(dialect: CastDialect) -> PlanStep:
    """Channels of each distinct value of systems."""
    return PlanStep(
        "system_channels",
        f"SELECT systems, CAST({channels('systems', dialect.text)} AS TINYINT) AS channels\n"
        f"FROM (SELECT DISTINCT systems FROM typed_transactions WHERE systems IS NOT NULL) AS distinct_values",
        is_materialized=True,
    )


def brand_dictionary(brands_sql: str) -> list[PlanStep]:
    """The distinct brands of a SELECT, numbered in order of their names, and the list of names."""
    return [
        PlanStep(
            "fact_brands",
            f"""SELECT brand AS name, CAST(row_number() OVER (ORDER BY brand) AS INT) AS brand
FROM ({brands_sql}) AS distinct_values
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
    """The two local dates of each UTC day, and the instant at which the second one starts; null if the UTC offset
    changes on that day. Days before 1990 or after 2049 are rare, and computed for each row.
    """
    local = dialect.engine.macros["local_time"]
    day_after = "utc_day + INTERVAL 1 DAY"
    return PlanStep(
        "local_days",
        f"""SELECT CAST(utc_day AS DATE) AS utc_day,
       CAST(utc_day + utc_offset AS DATE) AS first_date,
       CAST(utc_day + utc_offset AS DATE) + 1 AS second_date,
       CASE
           WHEN utc_offset = next_utc_offset
           THEN CAST(CAST(utc_day + utc_offset AS DATE) + 1 AS TIMESTAMP) - utc_offset
       END AS midnight_at
FROM (
    SELECT utc_day,
           {local("utc_day", f"'{club.timezone}'")} - utc_day AS utc_offset,
           {local(day_after, f"'{club.timezone}'")} - ({day_after}) AS next_utc_offset
    FROM range(TIMESTAMP '1990-01-01', TIMESTAMP '2050-01-01', INTERVAL 1 DAY) AS each(utc_day)
) AS offsets""",
        is_materialized=True,
    )
