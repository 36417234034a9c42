"""The table that keeps the values: its columns and its statements follow from the declarations."""

import hashlib
from functools import lru_cache

from regulars.aggregations import dirty_profiles
from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.compiler import compile_statement
from regulars.aggregations.definitions import REGISTRY
from regulars.aggregations.engines import POSTGRESQL

STORED_AGGREGATIONS = REGISTRY.stored
VALUE_COLUMNS = tuple(each.name for each in STORED_AGGREGATIONS)

SLOW_REFRESH_SALES = 1_000
"""A profile of more sales than these takes so long to refresh that others should not wait for it."""


@lru_cache(maxsize=1)
def values_statement() -> str:
    """The values of profiles $2, each at its instant in $3, in community $1; see compile.compiled."""
    return compile_statement(REGISTRY, POSTGRESQL)


def definitions_version() -> str:
    """Changes whenever any value may change its meaning."""
    return hashlib.sha256(values_statement().encode()).hexdigest()[:16]


_RECOMPUTE_ALL = """
DO $recompute$
DECLARE
    each int;
BEGIN
    IF obj_description('profile_aggregations'::regclass) IS DISTINCT FROM 'definitions {version}' THEN
        FOR each IN SELECT id FROM communities ORDER BY id LOOP
            PERFORM set_config('regulars.community_id', each::text, true);
            UPDATE cache_versions SET values_version = values_version + 1 WHERE community_id = each;
        END LOOP;
        COMMENT ON TABLE profile_aggregations IS 'definitions {version}';
    END IF;
END
$recompute$
"""


def column_statements() -> list[str]:
    """The statements that give the table a column for each declaration, and mark all values as to be
    recomputed when a definition has changed.
    """
    columns = [
        f'ALTER TABLE profile_aggregations ADD COLUMN IF NOT EXISTS "{each.name}" {each.type.column_type}'
        for each in STORED_AGGREGATIONS
    ]
    return [*columns, _RECOMPUTE_ALL.format(version=definitions_version())]


def _changed(old: str, new: str) -> str:
    return "\n       OR ".join(f"{old}.{name} IS DISTINCT FROM {new}.{name}" for name in VALUE_COLUMNS)


def _json(of: Aggregation, row: str) -> str:
    is_number = of.type.column_type in ("bigint", "numeric")
    written = f"{row}.{of.name}" if is_number else f"to_json({row}.{of.name})"
    return f"coalesce(CAST({written} AS text), 'null')"


SHARED_FACT = "shared fact"
"""The cause of a refresh that nothing but a raised epoch asks for."""


@lru_cache(maxsize=1)
def refresh_statement() -> str:
    """Recomputes profiles $2 at $3 with causes $4, stores what moved, and tells the outbox; gives those of many sales.

    Where the values stay, and only the instant of their next change or their epoch moves, the outbox is told of no
    changes: whoever keeps a copy may have brought it up to date from facts that this commit changes. A refresh for
    the epoch's sake changes no facts.

    The profiles must be locked by an earlier statement of the same transaction.
    """
    return f"""{_storing(values_statement(), "($4::text[])[k]")}
SELECT profile_id FROM fresh WHERE shop_count > {SLOW_REFRESH_SALES}
"""


STAGING_TABLE = "computed"
"""The table, of one transaction, that values computed elsewhere come in by."""

CREATE_STAGING_TABLE = f"""
CREATE TEMPORARY TABLE {STAGING_TABLE} (
    profile_id uuid, calculated_at timestamptz, next_change_at timestamptz, values_version bigint, mark bigint,
    {", ".join(f"{each.name} {each.type.column_type}" for each in STORED_AGGREGATIONS)}
) ON COMMIT DROP
"""

STAGING_COLUMNS = ("profile_id", "calculated_at", "next_change_at", "values_version", "mark", *VALUE_COLUMNS)


@lru_cache(maxsize=1)
def store_staged() -> str:
    """Stores values computed elsewhere for profiles that still bear the mark that they had then, and tells the outbox.

    $1 the community; the profiles are locked by an earlier statement of the same transaction.
    """
    # What moved a profile since has taken its mark away, or put another in its place.
    fresh = f"""
    SELECT row_number() OVER () AS k, given.*
    FROM pg_temp.{STAGING_TABLE} AS given
    JOIN profile_aggregations AS marked
        ON marked.community_id = $1
        AND marked.profile_id = given.profile_id
        AND marked.values_version = given.mark
"""
    return f"{_storing(fresh, dirty_profiles.cause_sql('fresh.mark'))}\nSELECT count(*) FROM fresh\n"


def _storing(fresh: str, cause: str) -> str:
    """The common table expressions that store rows of values where they moved, and tell the outbox."""
    columns = ", ".join(VALUE_COLUMNS)
    new = ", ".join(f"fresh.{name}" for name in VALUE_COLUMNS)
    updates = ",\n        ".join(f"{name} = excluded.{name}" for name in VALUE_COLUMNS)
    pairs = ",\n                   ".join(
        f"CASE WHEN kept.{each.name} IS DISTINCT FROM fresh.{each.name} "
        f"THEN concat('\"{each.name}\": [', {_json(each, 'kept')}, ', ', {_json(each, 'fresh')}, ']') END"
        for each in STORED_AGGREGATIONS
    )
    return f"""
WITH fresh AS MATERIALIZED (
{fresh}
),
kept AS MATERIALIZED (
    SELECT stored.*
    FROM fresh
    JOIN profile_aggregations AS stored ON stored.community_id = $1 AND stored.profile_id = fresh.profile_id
),
put AS (
    INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, next_change_at, values_version, {columns})
    SELECT $1, fresh.profile_id, fresh.calculated_at, fresh.next_change_at, fresh.values_version, {new}
    FROM fresh
    LEFT JOIN kept ON kept.profile_id = fresh.profile_id
    WHERE kept.profile_id IS NULL
       OR kept.next_change_at IS DISTINCT FROM fresh.next_change_at
       OR kept.values_version <> fresh.values_version
       OR {_changed("kept", "fresh")}
    ON CONFLICT (community_id, profile_id) DO UPDATE
    SET calculated_at = excluded.calculated_at,
        next_change_at = excluded.next_change_at,
        values_version = excluded.values_version,
        {updates}
),
told AS (
    INSERT INTO outbox (community_id, day, profile_id, changed_at, reason, changes)
    SELECT $1, CAST(calculated_at AS date), profile_id, calculated_at, reason,
           CAST(concat('{{', changes, '}}') AS json)
    FROM (
        -- Put together as text, for jsonb_build_object costs as much as a fifth of the computation.
        SELECT {cause} AS reason, fresh.profile_id, fresh.calculated_at, kept.profile_id IS NULL AS is_new,
               {cause} <> '{SHARED_FACT}' AND (
                   kept.next_change_at IS DISTINCT FROM fresh.next_change_at
                   OR kept.values_version <> fresh.values_version
               ) AS is_otherwise_due,
               concat_ws(
                       ', ',
                       {pairs}
               ) AS changes
        FROM fresh
        LEFT JOIN kept ON kept.profile_id = fresh.profile_id
        OFFSET 0
    ) AS compared
    WHERE is_new OR is_otherwise_due OR changes <> ''
)"""


READ_STORED_ROWS = f"""
WITH scope AS MATERIALIZED (
    SELECT CAST(set_config('regulars.community_id', $1::text, true) AS int) AS community_id
)
SELECT found.*
FROM scope
-- OFFSET keeps this within the scope: nothing is read before the setting stands.
CROSS JOIN LATERAL (
    SELECT stored.profile_id, stored.next_change_at,
           stored.values_version < cache_versions.values_version AS outdated,
           cache_versions.locations_version, communities.minor_digits,
           {", ".join(f"stored.{name}" for name in VALUE_COLUMNS)}
    FROM profile_aggregations AS stored
    JOIN cache_versions ON cache_versions.community_id = scope.community_id
    JOIN communities ON communities.id = scope.community_id
    WHERE stored.community_id = scope.community_id
      AND stored.profile_id = ANY ($2::uuid[])
    OFFSET 0
) AS found
"""
"""The values of profiles as they are kept, for one round trip without a transaction around it."""
