"""From the live store to the facts that definitions are written over: a part of a community's profiles, by COPY."""

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
from regulars.storage.copy_out import TIMESTAMP, csv_options
from regulars.storage.database import Scope

DATE, INTEGER, TEXT, BOOLEAN = pa.date32(), pa.int64(), pa.string(), pa.bool_()


@dataclass(frozen=True, slots=True)
class ProfileRange:
    """Profiles of a community by the range of their ids, both ends in it."""

    first: UUID
    last: UUID


@dataclass(frozen=True, slots=True)
class ExportedFacts:
    """Facts as they were in one snapshot, by the names of the relations that they are given as."""

    club: ClubContext
    tables: Mapping[str, pa.Table]


# $1 the community, $2 and $3 the ends of the range, $4 a load where only what it has marked is asked for.
_ASKED = f"""
WITH asked AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY profile_id) AS profile, profile_id,
           joined_at, joined_location_id, preferred_location_id
    FROM profiles
    WHERE community_id = $1 AND profile_id BETWEEN $2::uuid AND $3::uuid AND deleted_at IS NULL
      AND ($4::bigint IS NULL OR EXISTS (
          SELECT
          FROM profile_aggregations AS kept
          WHERE kept.community_id = $1 AND kept.profile_id = profiles.profile_id
            AND {dirty_profiles.is_marked_by("$4::bigint", "kept.values_version")}
      ))
)"""

_PROFILES = f"""{_ASKED}
SELECT profile, profile_id, joined_at, joined_location_id, preferred_location_id
FROM asked
"""

# By the key of each profile, whatever the planner takes a community for of which it knows nothing yet: else it may hold
# each row of one table beside all of the other.
_TOLD = """CROSS JOIN LATERAL (
    SELECT *
    FROM transactions
    WHERE community_id = $1 AND profile_id = asked.profile_id AND NOT is_void
    OFFSET 0
) AS told"""

_TRANSACTIONS = f"""{_ASKED}
SELECT asked.profile, told.id, told.external_id, told.transacted_at,
       told.amount, told.direction, told.transacted_on, told.channels, told.location_id,
       trim_scale(told.discount) AS discount, trim_scale(told.list_value) AS list_value,
       CASE WHEN NOT told.items_overflow THEN told.item_product_ids END AS item_product_ids,
       CASE WHEN NOT told.items_overflow THEN to_json(told.item_brands) END AS item_brands
FROM asked
{_TOLD}
"""

# Only of the transactions that have too many lines to keep what was sold by themselves.
_LINES = f"""{_ASKED}
SELECT asked.profile, told.transacted_at, items.product_id, items.brand
FROM asked
{_TOLD}
CROSS JOIN LATERAL (
    SELECT product_id, brand
    FROM transaction_items
    WHERE told.items_overflow AND community_id = $1 AND transaction_id = told.id AND NOT is_void AND quantity > 0
    OFFSET 0
) AS items
"""

_PRODUCTS = """
SELECT products.id AS product_id, brands.name AS brand
FROM products
JOIN brands ON brands.community_id = $1 AND brands.id = products.brand_id
WHERE products.community_id = $1
"""

_ADDRESSES = f"""{_ASKED}
SELECT asked.profile, own.is_default, own.country, own.iso_state, own.state
FROM asked
CROSS JOIN LATERAL (
    SELECT is_default, country, iso_state, state
    FROM addresses
    WHERE community_id = $1 AND profile_id = asked.profile_id
    OFFSET 0
) AS own
"""

_LOCATIONS = """
SELECT id AS location_id, external_id, type, timezone, country, iso_state, state
FROM locations
WHERE community_id = $1
"""

_PLACE = {"country": TEXT, "iso_state": TEXT, "state": TEXT}
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
_ADDRESS_COLUMNS = {"profile": INTEGER, "is_default": BOOLEAN, **_PLACE}
_LOCATION_COLUMNS = {"location_id": INTEGER, "external_id": TEXT, "type": TEXT, "timezone": TEXT, **_PLACE}


async def export_facts(scope: Scope, part: ProfileRange, load: int | None = None) -> ExportedFacts:
    """The facts of a part of a community's profiles as this snapshot has them; with a `load`, of those that it has
    marked.
    """
    community = await communities.get_by_id(scope.connection, scope.community_id)
    ends = (scope.community_id, part.first, part.last, load)
    return ExportedFacts(
        ClubContext(community.timezone, community.currency, community.minor_digits),
        {
            "fact_profiles": await export_query(scope, _PROFILES, ends, _PROFILE_COLUMNS),
            "given_transactions": await export_query(scope, _TRANSACTIONS, ends, _TRANSACTION_COLUMNS),
            "given_lines": await export_query(scope, _LINES, ends, _LINE_COLUMNS),
            "given_products": await export_query(scope, _PRODUCTS, ends[:1], _PRODUCT_COLUMNS),
            "fact_addresses": await export_query(scope, _ADDRESSES, ends, _ADDRESS_COLUMNS),
            "fact_locations": await export_query(scope, _LOCATIONS, ends[:1], _LOCATION_COLUMNS),
        },
    )


async def export_query(
    scope: Scope, statement: str, arguments: tuple[object, ...], columns: Mapping[str, pa.DataType]
) -> pa.Table:
    """What a statement gives, as columns of these types; instants are in UTC, without saying so."""
    received = BytesIO()
    # As text, for Arrow reads it faster than rows are fetched, and nothing needs to be known of the types' bytes.
    await scope.connection.copy_from_query(statement, *arguments, output=received, format="csv")
    table = _read(received, columns)
    return pa.table(
        {
            name: table[name].cast(pa.timestamp("us")) if kind == TIMESTAMP else table[name]
            for name, kind in columns.items()
        }
    )


def _read(received: BytesIO, columns: Mapping[str, pa.DataType]) -> pa.Table:
    if not received.tell():
        return pa.schema(list(columns.items())).empty_table()
    return pyarrow.csv.read_csv(pa.BufferReader(received.getbuffer()), **csv_options(columns))


# Discounts and list values have up to 24 decimals. They are only compared with each other, so each profile's are
# counted in a unit of its own; the few that even so are too large for the engine are divided by Python.
_UNITS = """
SELECT profile,
       CAST(max(greatest(length(split_part(discount, '.', 2)), length(split_part(list_value, '.', 2)))) AS INT)
           AS decimals,
       10.0 ** decimals * sum(abs(CAST(list_value AS DOUBLE)) + 10000 * abs(CAST(discount AS DOUBLE))) < 1e37 AS fits
FROM given_transactions
WHERE discount IS NOT NULL AND list_value IS NOT NULL
GROUP BY profile
"""


def _in_units(column: str) -> str:
    whole, decimals = f"split_part(told.{column}, '.', 1)", f"split_part(told.{column}, '.', 2)"
    return f"CASE WHEN units.fits THEN CAST({whole} || rpad({decimals}, units.decimals, '0') AS HUGEINT) END"


_FACT_TRANSACTIONS = f"""
SELECT told.profile, told.id, told.external_id, told.transacted_at, told.amount, told.direction, told.location_id,
       coalesce(
           told.transacted_on,
           CAST(local_time(told.transacted_at, coalesce(place.timezone, club.zone)) AS DATE)
       ) AS transacted_on,
       coalesce(told.channels, CASE WHEN place.type = 'online' THEN 2 WHEN place.type <> '' THEN 1 END) AS channels,
       {_in_units("discount")} AS discount,
       {_in_units("list_value")} AS list_value
FROM given_transactions AS told
CROSS JOIN club
LEFT JOIN fact_locations AS place ON place.location_id = told.location_id
LEFT JOIN units ON units.profile = told.profile
"""

_FACT_LINES = """
SELECT line.profile, line.transacted_at, coalesce(product.brand, line.brand) AS brand
FROM (
    SELECT profile, transacted_at,
           unnest(CAST(translate(item_product_ids, '{}', '[]') AS BIGINT[])) AS product_id,
           unnest(from_json(item_brands, '["VARCHAR"]')) AS brand
    FROM given_transactions
    WHERE item_product_ids IS NOT NULL OR item_brands IS NOT NULL
    UNION ALL
    SELECT profile, transacted_at, product_id, brand
    FROM given_lines
) AS line
LEFT JOIN given_products AS product ON product.product_id = line.product_id
WHERE coalesce(product.brand, line.brand) IS NOT NULL
"""

_RECOMPUTED = """
SELECT value.* REPLACE (coalesce(divided.discount_avg, CAST(value.discount_avg AS VARCHAR)) AS discount_avg)
FROM stored_values AS value
LEFT JOIN divided ON divided.profile = value.k
"""


def recompute(copied: ExportedFacts, as_of: datetime) -> DuckDBEngine:
    """An engine that holds the values at `as_of`, from the facts, as the relation `recomputed`.

    Its columns are those of compile.compiled; discount_avg is a text, for it may be of any size.
    """
    runner = DuckDBEngine()
    for name, table in copied.tables.items():
        runner.connection.register(name, table)
    runner.make(values.club_step(copied.club))
    runner.make(PlanStep("units", _UNITS, is_materialized=True))
    runner.make(PlanStep("fact_transactions", _FACT_TRANSACTIONS, is_materialized=True))
    runner.make(PlanStep("fact_lines", _FACT_LINES, is_materialized=True))
    runner.connection.register("divided", _divided(runner, as_of))
    compute_values(runner, copied.club, as_of)
    runner.make(PlanStep("recomputed", _RECOMPUTED))
    return runner


def _divided(runner: DuckDBEngine, as_of: datetime) -> pa.Table:
    """The average discounts, in hundredths of a percent, of the profiles whose units don't fit."""
    rows = runner.rows(
        f"""
        SELECT told.profile, told.discount, told.list_value
        FROM given_transactions AS told
        JOIN units ON units.profile = told.profile
        WHERE NOT units.fits AND told.direction = 1 AND told.list_value IS NOT NULL
          AND told.transacted_at <= {values.timestamp_literal(as_of)}
        """
    )
    sums: dict[int, tuple[Fraction, Fraction]] = {}
    for profile, discount, list_value in rows:
        given, listed = sums.get(profile, (Fraction(0), Fraction(0)))
        sums[profile] = given + Fraction(Decimal(discount)), listed + Fraction(Decimal(list_value))
    # round() is half-even, and exact on fractions.
    shares = {profile: str(round(10_000 * given / listed)) for profile, (given, listed) in sums.items() if listed}
    columns = [pa.array(shares.keys(), INTEGER), pa.array(shares.values(), TEXT)]
    return pa.table(columns, names=["profile", "discount_avg"])


def fetch_dicts(runner: DuckDBEngine, select: str) -> list[dict[str, Any]]:
    """The rows of a statement by the names of its columns."""
    found = runner.connection.execute(select)
    names = [each[0] for each in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
