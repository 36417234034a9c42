"""The parts that statements which record, erase and rebuild events of all fact types have in common.

Statements in files include them by a line such as `-- include: buckets`; see `storage.sql_files`.
"""

from collections.abc import Mapping, Sequence

COMMUNITY = """
community AS MATERIALIZED (
    SELECT timezone FROM communities WHERE id = $1
),
"""
"""A CTE with the time zone of community $1."""


def input_rows(columns: Mapping[str, str], nullable: str = "") -> str:
    """A CTE `input` with a row per event, from parameters $2 onwards: one array per column, of the given types.

    Each row has its number, `row_no`, from 1. A UUID of zeros is null in the `nullable` column.
    """
    arrays = ",\n        ".join(
        f"CAST(CAST(${number} AS text) AS {type_}[]) AS {name}"
        for number, (name, type_) in enumerate(columns.items(), 2)
    )
    values = ",\n        ".join(_value(name, is_nullable=name == nullable) for name in columns)
    first = next(iter(columns))
    return f"""
arrays AS MATERIALIZED (
    SELECT
        {arrays}
),
input AS MATERIALIZED (
    SELECT
        row_no,
        {values}
    FROM arrays
    -- The planner expects a thousand rows of it, and therefore joins what follows by hashes.
    CROSS JOIN LATERAL generate_subscripts({first}, 1) AS row_no
),
"""


def _value(name: str, *, is_nullable: bool) -> str:
    value = f"{name}[row_no]"
    return f"nullif({value}, '00000000-0000-0000-0000-000000000000') AS {name}" if is_nullable else f"{value} AS {name}"


def buckets(of: Sequence[str], granularities: int, timezone: str = "community.timezone") -> str:
    """A CTE `buckets` that maps buckets of five minutes, as the CTEs `of` have them, to those of all granularities.

    Parameter number `granularities` has the granularities, the next one the timestamp from which on each is retained
    (null: forever). `timezone` is an SQL expression.
    """
    base = " UNION ".join(f"SELECT bucket FROM {each}" for each in of)
    if len(of) == 1:
        base = f"SELECT DISTINCT bucket FROM {of[0]}"
    community = "\n        CROSS JOIN community" if timezone.startswith("community.") else ""
    return f"""
buckets AS MATERIALIZED (
    SELECT base_bucket, granularity, bucket
    FROM (
        SELECT
            base.bucket AS base_bucket, granularities.granularity, granularities.retention_start,
            bucket_start(base.bucket, granularities.granularity, {timezone}) AS bucket
        FROM ({base}) AS base{community}
        CROSS JOIN unnest(${granularities}::text[], ${granularities + 1}::timestamptz[])
            AS granularities (granularity, retention_start)
        OFFSET 0
    ) AS bucketed
    WHERE retention_start IS NULL OR bucket >= retention_start
),
"""


def event_counts(types: Sequence[str], counted: str = "count(*)") -> str:
    """The number of events of each type, by name; types are numbered from 1."""
    return ",\n".join(
        f"coalesce({counted} FILTER (WHERE event_type = {code}), 0) AS {name}" for code, name in enumerate(types, 1)
    )


def change_counters(names: Sequence[str], operator: str) -> str:
    """Assignments that add (+) `deltas` to the counters of `stored`, or subtract (-) them."""
    return ",\n".join(f"{name}_count = stored.{name}_count {operator} deltas.{name}" for name in names)
