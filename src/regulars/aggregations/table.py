"""The table of values: columns and statements are generated from the declarations."""

import hashlib
from functools import lru_cache

from regulars.aggregations import dirty_profiles
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.compiled_values import values_statement
from regulars.aggregations.definitions import REGISTRY

STORED_AGGREGATIONS = REGISTRY.stored
VALUE_COLUMNS = tuple(community.name for community in STORED_AGGREGATIONS)

SLOW_REFRESH_SALES = 1_000
"""Profiles with more sales refresh so slowly that other commits should not wait for them."""


def definitions_version() -> str:
    """Changes whenever the definition of a value changes."""
    return hashlib.sha256(values_statement().encode()).hexdigest()[:16]


_RECOMPUTE_ALL = """
DO $recompute$
DECLARE
    community int;
BEGIN
    IF obj_description('profile_aggregations'::regclass) IS DISTINCT FROM 'definitions {version}' THEN
        FOR community IN SELECT id FROM communities ORDER BY id LOOP
            PERFORM set_config('regulars.community_id', community::text, true);
            UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = community;
        END LOOP;
        COMMENT ON TABLE profile_aggregations IS 'definitions {version}';
    END IF;
END
$recompute$
"""


# A plan is made once for all values of its parameters, so statistics of values hardly change one, but analyzing them was
# most of the work of autovacuum.
_WITHOUT_STATISTICS = f"""
DO $statistics$
DECLARE
    value_column text;
BEGIN
    FOR value_column IN
        SELECT attname
        FROM pg_attribute
        WHERE attrelid = 'profile_aggregations'::regclass
          AND attname = ANY (ARRAY{list(VALUE_COLUMNS)})
          AND attstattarget IS DISTINCT FROM 0
    LOOP
        EXECUTE format('ALTER TABLE profile_aggregations ALTER COLUMN %I SET STATISTICS 0', value_column);
    END LOOP;
END
$statistics$
"""


def column_statements() -> list[str]:
    """Statements that add a column for each declaration, and invalidate all values if a definition has changed."""
    columns = [
        f'ALTER TABLE profile_aggregations ADD COLUMN IF NOT EXISTS "{community.name}" {community.type.column_type}'
        for community in STORED_AGGREGATIONS
    ]
    return [*columns, _WITHOUT_STATISTICS, _RECOMPUTE_ALL.format(version=definitions_version())]


def _is_distinct(old: str, new: str) -> str:
    return "\n       OR ".join(f"{old}.{name} IS DISTINCT FROM {new}.{name}" for name in VALUE_COLUMNS)


def _json(of: Aggregation, row: str) -> str:
    is_number = of.type.column_type in ("bigint", "numeric")
    expression = f"{row}.{of.name}" if is_number else f"to_json({row}.{of.name})"
    return f"coalesce(CAST({expression} AS text), 'null')"


SHARED_FACT = "shared fact"
"""Cause of a refresh that is due only to a new values version."""


@lru_cache(maxsize=1)
def refresh_statement() -> str:
    """Recomputes profiles $2 at $3 with causes $4, stores changed values, and writes the changes to the outbox.

    Returns profiles with many sales. If only the next change or the version differs, the outbox gets a row without
    changes, because replicas may have read facts that this commit changes; a refresh for a new version changes no facts
    and needs none. The profiles must be locked by an earlier statement of the same transaction.
    """
    return f"""{_store_ctes(values_statement(), "($4::text[])[k]")}
SELECT profile_id FROM recomputed WHERE shop_count > {SLOW_REFRESH_SALES}
"""


STAGING_TABLE = "computed"
"""Temporary table for values that were computed outside the database."""

CREATE_STAGING_TABLE = f"""
CREATE TEMPORARY TABLE {STAGING_TABLE} (
    profile_id uuid, calculated_at timestamptz, next_change_at timestamptz, values_version bigint, mark bigint,
    {", ".join(f"{community.name} {community.type.column_type}" for community in STORED_AGGREGATIONS)}
) ON COMMIT DROP
"""

STAGING_COLUMNS = ("profile_id", "calculated_at", "next_change_at", "values_version", "mark", *VALUE_COLUMNS)


@lru_cache(maxsize=1)
def store_staged() -> str:
    """Stores staged values for profiles whose dirty marker is unchanged, and writes the changes to the outbox.

    $1 is the community; the profiles must be locked by an earlier statement of the same transaction.
    """
    # A later change of the facts has removed or replaced the marker.
    recomputed = f"""
    SELECT row_number() OVER () AS k, staged.*
    FROM pg_temp.{STAGING_TABLE} AS staged
    JOIN profile_aggregations AS dirty
        ON dirty.community_id = $1
        AND dirty.profile_id = staged.profile_id
        AND dirty.values_version = staged.mark
"""
    return f"{_store_ctes(recomputed, dirty_profiles.cause_sql('recomputed.mark'))}\nSELECT count(*) FROM recomputed\n"


def _store_ctes(recomputed: str, cause: str) -> str:
    """Common table expressions that store changed rows of values and write the changes to the outbox."""
    columns = ", ".join(VALUE_COLUMNS)
    new = ", ".join(f"recomputed.{name}" for name in VALUE_COLUMNS)
    updates = ",\n        ".join(f"{name} = excluded.{name}" for name in VALUE_COLUMNS)
    pairs = ",\n                   ".join(
        f"CASE WHEN existing.{community.name} IS DISTINCT FROM recomputed.{community.name} "
        f"THEN concat('\"{community.name}\": [', {_json(community, 'existing')}, ', ', {_json(community, 'recomputed')}, ']') END"
        for community in STORED_AGGREGATIONS
    )
    return f"""
WITH recomputed AS MATERIALIZED (
{recomputed}
),
existing AS MATERIALIZED (
    SELECT stored.*
    FROM recomputed
    -- Found by the key, also in a table so small that the planner would read it whole.
    CROSS JOIN LATERAL (
        SELECT * FROM profile_aggregations WHERE community_id = $1 AND profile_id = recomputed.profile_id OFFSET 0
    ) AS stored
),
upserted AS (
    INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, next_change_at, values_version, {columns})
    SELECT $1, recomputed.profile_id, recomputed.calculated_at, recomputed.next_change_at, recomputed.values_version, {new}
    FROM recomputed
    LEFT JOIN existing ON existing.profile_id = recomputed.profile_id
    WHERE existing.profile_id IS NULL
       OR existing.next_change_at IS DISTINCT FROM recomputed.next_change_at
       OR existing.values_version <> recomputed.values_version
       OR {_is_distinct("existing", "recomputed")}
    ON CONFLICT (community_id, profile_id) DO UPDATE
    SET calculated_at = excluded.calculated_at,
        next_change_at = excluded.next_change_at,
        values_version = excluded.values_version,
        {updates}
),
outbox_rows AS (
    INSERT INTO outbox (community_id, day, profile_id, changed_at, reason, changes)
    SELECT $1, CAST(calculated_at AS date), profile_id, calculated_at, reason,
           CAST(concat('{{', changes, '}}') AS json)
    FROM (
        -- Concatenated as text, because jsonb_build_object costs a fifth of the computation.
        SELECT {cause} AS reason, recomputed.profile_id, recomputed.calculated_at, existing.profile_id IS NULL AS is_new,
               {cause} <> '{SHARED_FACT}' AND (
                   existing.next_change_at IS DISTINCT FROM recomputed.next_change_at
                   OR existing.values_version <> recomputed.values_version
               ) AS has_new_schedule,
               concat_ws(
                       ', ',
                       {pairs}
               ) AS changes
        FROM recomputed
        LEFT JOIN existing ON existing.profile_id = recomputed.profile_id
        OFFSET 0
    ) AS compared
    WHERE is_new OR has_new_schedule OR changes <> ''
)"""


def _read_rows(*columns: str) -> str:
    return f"""
WITH scope AS MATERIALIZED (
    SELECT CAST(set_config('regulars.community_id', $1::text, true) AS int) AS community_id
)
SELECT found.*
FROM scope
-- OFFSET 0 prevents reads before the setting is effective.
CROSS JOIN LATERAL (
    -- xmin is the transaction that wrote the row.
    SELECT stored.profile_id, stored.xmin AS row_version, stored.calculated_at,
           stored.values_version < cache_versions.values_version AS outdated,
           cache_versions.locations_version, communities.currency{"".join(f", stored.{name}" for name in columns)}
    FROM profile_aggregations AS stored
    JOIN cache_versions ON cache_versions.community_id = scope.community_id
    JOIN communities ON communities.id = scope.community_id
    WHERE stored.community_id = scope.community_id
      AND stored.profile_id = ANY ($2::uuid[])
    OFFSET 0
) AS found
"""


READ_STORED_ROWS = _read_rows("next_change_at", *VALUE_COLUMNS)
"""Stored values of profiles, in one round trip without an explicit transaction."""

READ_ROW_VERSIONS = _read_rows()
"""The versions of stored values, by which a change since the last read is visible; otherwise as READ_STORED_ROWS."""
