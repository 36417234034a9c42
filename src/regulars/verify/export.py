"""Exports the facts of a range of profiles from PostgreSQL by COPY, and computes their values with DuckDB."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from io import BytesIO
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.csv

from regulars.aggregations import dirty_profiles
from regulars.model import community as communities
from regulars.offline import values
from regulars.offline.engines.duckdb import DuckDBEngine
from regulars.offline.pipeline import compute_values
from regulars.offline.structures import ClubContext, PlanStep
from regulars.offline.transaction_facts import with_day_openings
from regulars.storage.copy_out import TIMESTAMP, csv_options
from regulars.storage.database import Scope

DATE, INTEGER, TEXT, BOOLEAN = pa.date32(), pa.int64(), pa.string(), pa.bool_()


@dataclass(frozen=True, slots=True)
class ProfileRange:
    """A range of profile ids, both arguments included."""

    first: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class ExportedFacts:
    """Facts of one snapshot, by name of their relation in DuckDB."""

    club: ClubContext
    tables: Mapping[str, pa.Table]


# $1 is the community, $2 and $3 are the arguments of the range, $4 is a load job to select only its dirty profiles.
_REQUESTED = f"""
WITH requested AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY profile_id) AS profile, profile_id,
           joined_at, joined_location_id, preferred_location_id
    FROM profiles
    WHERE community_id = $1 AND profile_id BETWEEN $2::uuid AND $3::uuid AND deleted_at IS NULL
      AND ($4::bigint IS NULL OR EXISTS (
          SELECT
          FROM profile_aggregations AS values
          WHERE values.community_id = $1 AND values.profile_id = profiles.profile_id
            AND {dirty_profiles.is_marked_by("$4::bigint", "values.values_version")}
      ))
)"""

_PROFILES = f"""{_REQUESTED}
SELECT profile, profile_id, joined_at, joined_location_id, preferred_location_id
FROM requested
"""

# LATERAL with OFFSET 0 forces an index scan by profile. Without statistics of a new community, the planner might choose
# a nested loop over both tables.
_TRANSACTIONS_OF_PROFILE = """CROSS JOIN LATERAL (
    SELECT *
    FROM transactions
    WHERE community_id = $1 AND profile_id = requested.profile_id AND NOT is_void
    OFFSET 0
) AS t"""

_TRANSACTIONS = f"""{_REQUESTED}
SELECT requested.profile, t.id, t.external_id, t.transacted_at,
       t.amount, t.direction, t.transacted_on, t.channels, t.location_id,
       trim_scale(t.discount) AS discount, trim_scale(t.list_value) AS list_value,
       CASE WHEN NOT t.items_overflow THEN t.item_product_ids END AS item_product_ids,
       CASE WHEN NOT t.items_overflow THEN to_json(t.item_brands) END AS item_brands
FROM requested
{_TRANSACTIONS_OF_PROFILE}
"""

# Only for transactions with too many lines to store their items in arrays.
_LINES = f"""{_REQUESTED}
SELECT requested.profile, t.transacted_at, items.product_id, items.brand
FROM requested
{_TRANSACTIONS_OF_PROFILE}
CROSS JOIN LATERAL (
    SELECT product_id, brand
    FROM transaction_items
    WHERE t.items_overflow AND community_id = $1 AND transaction_id = t.id AND NOT is_void AND quantity > 0
    OFFSET 0
) AS items
"""

_PRODUCTS = """
SELECT products.id AS product_id, brands.name AS brand
FROM products
JOIN brands ON brands.community_id = $1 AND brands.id = products.brand_id
WHERE products.community_id = $1
"""

_ADDRESSES = f"""{_REQUESTED}
SELECT requested.profile, address.is_default, address.country, address.iso_state, address.state
FROM requested
CROSS JOIN LATERAL (
    SELECT is_default, country, iso_state, state
    FROM addresses
    WHERE community_id = $1 AND profile_id = requested.profile_id
    OFFSET 0
) AS address
"""

_LOCATIONS = """
SELECT id AS location_id, external_id, type, timezone, country, iso_state, state
FROM locations
WHERE community_id = $1
"""

_LOCATION_PARTS = {"country": TEXT, "iso_state": TEXT, "state": TEXT}
_PROFILE_COLUMNS = {
    "profile": INTEGER,
    "profile_id": TEXT,
    "joined_at": TIMESTAMP,
    "joined_location_id": INTEGER,
    "preferred_location_id": INTEGER,
}
_TRANSACTION_COLUMNS = {
    "profile": INTEGER,
    "id": INTEGER,
    "external_id": TEXT,
    "transacted_at": TIMESTAMP,
    "amount": INTEGER,
    "direction": INTEGER,
    "transacted_on": DATE,
    "channels": INTEGER,
    "location_id": INTEGER,
    "discount": TEXT,
    "list_value": TEXT,
    "item_product_ids": TEXT,
    "item_brands": TEXT,
}
_LINE_COLUMNS = {"profile": INTEGER, "transacted_at": TIMESTAMP, "product_id": INTEGER, "brand": TEXT}
_PRODUCT_COLUMNS = {"product_id": INTEGER, "brand": TEXT}
_ADDRESS_COLUMNS = {"profile": INTEGER, "is_default": BOOLEAN, **_LOCATION_PARTS}
_LOCATION_COLUMNS = {"location_id": INTEGER, "external_id": TEXT, "type": TEXT, "timezone": TEXT, **_LOCATION_PARTS}


async def export_facts(scope: Scope, profile_range: ProfileRange, load: int | None = None) -> ExportedFacts:
    """Exports the facts of a range of profiles in this snapshot; with `load`, only of the dirty
    profiles of that job.
    """
    community = await communities.get_by_id(scope.connection, scope.community_id)
    arguments = (scope.community_id, profile_range.first, profile_range.last, load)
    return ExportedFacts(
        ClubContext(community.timezone, community.currency, community.minor_digits),
        {
            "fact_profiles": await export_query(scope, _PROFILES, arguments, _PROFILE_COLUMNS),
            "exported_transactions": await export_query(scope, _TRANSACTIONS, arguments, _TRANSACTION_COLUMNS),
            "exported_lines": await export_query(scope, _LINES, arguments, _LINE_COLUMNS),
            "exported_products": await export_query(scope, _PRODUCTS, arguments[:1], _PRODUCT_COLUMNS),
            "fact_addresses": await export_query(scope, _ADDRESSES, arguments, _ADDRESS_COLUMNS),
            "fact_locations": await export_query(scope, _LOCATIONS, arguments[:1], _LOCATION_COLUMNS),
        },
    )


async def export_query(
    scope: Scope, statement: str, arguments: tuple[object, ...], columns: Mapping[str, pa.DataType]
) -> pa.Table:
    """Exports the rows of a statement as a table of these columns; timestamps are in UTC, without a time zone."""
    output = BytesIO()
    # As text, because Arrow parses it faster than rows are fetched, without knowledge of binary formats.
    await scope.connection.copy_from_query(statement, *arguments, output=output, format="csv")
    table = _read(output, columns)
    return pa.table(
        {
            name: table[name].cast(pa.timestamp("us")) if column_type == TIMESTAMP else table[name]
            for name, column_type in columns.items()
        }
    )


def _read(output: BytesIO, columns: Mapping[str, pa.DataType]) -> pa.Table:
    if not output.tell():
        return pa.schema(list(columns.items())).empty_table()
    return pyarrow.csv.read_csv(pa.BufferReader(output.getbuffer()), **csv_options(columns))


# Discounts and list values have up to 24 decimal places. They are only compared with each other, so each profile uses
# its address unit. The few that are still too large for DuckDB are python_averages in Python.
_UNITS = """
SELECT profile,
       CAST(max(greatest(length(split_part(discount, '.', 2)), length(split_part(list_value, '.', 2)))) AS INT)
           AS decimals,
       10.0 ** decimals * sum(abs(CAST(list_value AS DOUBLE)) + 10000 * abs(CAST(discount AS DOUBLE))) < 1e37 AS fits
FROM exported_transactions
WHERE discount IS NOT NULL AND list_value IS NOT NULL
GROUP BY profile
"""


def _to_units(column: str) -> str:
    integer_part, decimals = f"split_part(t.{column}, '.', 1)", f"split_part(t.{column}, '.', 2)"
    return f"CASE WHEN units.fits THEN CAST({integer_part} || rpad({decimals}, units.decimals, '0') AS HUGEINT) END"


_FACT_TRANSACTIONS = f"""
SELECT t.profile, t.id, t.external_id, t.transacted_at, t.amount, t.direction, t.location_id,
       coalesce(
           t.transacted_on,
           CAST(local_time(t.transacted_at, coalesce(location.timezone, club.zone)) AS DATE)
       ) AS transacted_on,
       coalesce(t.channels, CASE WHEN location.type = 'online' THEN 2 WHEN location.type <> '' THEN 1 END) AS channels,
       {_to_units("discount")} AS discount,
       {_to_units("list_value")} AS list_value
FROM exported_transactions AS t
CROSS JOIN club
LEFT JOIN fact_locations AS location ON location.location_id = t.location_id
LEFT JOIN units ON units.profile = t.profile
"""

_FACT_LINES = """
SELECT line.profile, line.transacted_at, coalesce(product.brand, line.brand) AS brand
FROM (
    SELECT profile, transacted_at,
           unnest(CAST(translate(item_product_ids, '{}', '[]') AS BIGINT[])) AS product_id,
           unnest(from_json(item_brands, '["VARCHAR"]')) AS brand
    FROM exported_transactions
    WHERE item_product_ids IS NOT NULL OR item_brands IS NOT NULL
    UNION ALL
    SELECT profile, transacted_at, product_id, brand
    FROM exported_lines
) AS line
LEFT JOIN exported_products AS product ON product.product_id = line.product_id
WHERE coalesce(product.brand, line.brand) IS NOT NULL
"""

_RECOMPUTED = """
SELECT value.* REPLACE (coalesce(python_averages.discount_avg, CAST(value.discount_avg AS VARCHAR)) AS discount_avg)
FROM stored_values AS value
LEFT JOIN python_averages ON python_averages.profile = value.k
"""


def recompute(exported: ExportedFacts, as_of: datetime) -> DuckDBEngine:
    """Returns an engine with the relation `recomputed`: the values at `as_of`, computed from exported facts.

    Its columns are those of compiler.compile_statement; discount_avg is a string, because it is unbounded.
    """
    engine = DuckDBEngine()
    for name, table in exported.tables.items():
        engine.connection.register(name, table)
    engine.create(values.club_step(exported.club))
    engine.create(PlanStep("units", _UNITS, is_materialized=True))
    engine.create(PlanStep("fact_transactions", with_day_openings(_FACT_TRANSACTIONS), is_materialized=True))
    engine.create(PlanStep("fact_lines", _FACT_LINES, is_materialized=True))
    engine.connection.register("python_averages", _averages_in_python(engine, as_of))
    compute_values(engine, exported.club, as_of)
    engine.create(PlanStep("recomputed", _RECOMPUTED))
    return engine


def _averages_in_python(engine: DuckDBEngine, as_of: datetime) -> pa.Table:
    """Average discounts, in hundredths of a percent, of the profiles whose sums are too large for DuckDB."""
    rows = engine.fetch(
        f"""
        SELECT t.profile, t.discount, t.list_value
        FROM exported_transactions AS t
        JOIN units ON units.profile = t.profile
        WHERE NOT units.fits AND t.direction = 1 AND t.list_value IS NOT NULL
          AND t.transacted_at <= {values.timestamp_literal(as_of)}
        """
    )
    sums: dict[int, tuple[Fraction, Fraction]] = {}
    for profile, discount, list_value in rows:
        discount_sum, list_sum = sums.get(profile, (Fraction(0), Fraction(0)))
        sums[profile] = discount_sum + Fraction(Decimal(discount)), list_sum + Fraction(Decimal(list_value))
    # round() is half-even and exact for fractions.
    shares = {
        profile: str(round(10_000 * discount_sum / list_sum))
        for profile, (discount_sum, list_sum) in sums.items()
        if list_sum
    }
    columns = [pa.array(shares.keys(), INTEGER), pa.array(shares.values(), TEXT)]
    return pa.table(columns, names=["profile", "discount_avg"])


def fetch_dicts(engine: DuckDBEngine, select: str) -> list[dict[str, Any]]:
    """The rows of a statement as dictionaries."""
    cursor = engine.connection.execute(select)
    names = [each[0] for each in cursor.description or ()]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
