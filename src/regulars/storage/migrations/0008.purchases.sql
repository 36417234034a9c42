-- What is bought: each transaction as reports count it, added up by day and month, with the members who did it.
-- depends: 0005.members

-- Derived, in the transaction of the facts. `dimension_*`, gender and age stay what they were in the purchase's first
-- commit. `since` is the transaction that told it as it is here; null while its moment lies ahead.
CREATE TABLE purchases (
    community_id         int NOT NULL,
    id                   bigint NOT NULL,
    since                xid8,
    at                   timestamptz NOT NULL,
    counted              boolean NOT NULL,
    sales                smallint NOT NULL,
    amount               bigint NOT NULL,
    member_id            bigint,
    location             bigint,
    channel              text COLLATE "C",
    brands               text[] COLLATE "C" NOT NULL,
    brand_amounts        numeric[] NOT NULL,
    dimension_frequency  text COLLATE "C",
    dimension_recency    text COLLATE "C",
    dimension_join       text COLLATE "C",
    gender               text COLLATE "C",
    age                  text COLLATE "C",
    PRIMARY KEY (community_id, id)
);

CREATE INDEX purchases_since ON purchases (community_id, since);
CREATE INDEX purchases_at ON purchases (community_id, at);
CREATE INDEX purchases_by_member ON purchases (community_id, member_id, at) WHERE member_id IS NOT NULL;

-- What was told of a purchase until another transaction told otherwise; kept until that is folded.
CREATE TABLE purchase_changes (
    LIKE purchases,
    until  xid8 NOT NULL
);

CREATE INDEX purchase_changes_until ON purchase_changes (community_id, until);

-- What was told by transactions below the watermark is added up, by the clock of this zone.
CREATE TABLE purchase_marks (
    community_id  int PRIMARY KEY,
    watermark     xid8 NOT NULL,
    timezone      text NOT NULL
);

-- `grain` is the field whose values are kept apart, or empty.
CREATE TABLE purchase_rollups (
    community_id  int NOT NULL,
    step          text COLLATE "C" NOT NULL,
    grain         text COLLATE "C" NOT NULL,
    bucket        timestamptz NOT NULL,
    value         text COLLATE "C",
    purchases     bigint NOT NULL,
    sales         bigint NOT NULL,
    amount        numeric NOT NULL
);

CREATE UNIQUE INDEX purchase_rollups_by_bucket ON purchase_rollups (community_id, step, grain, bucket, value)
    NULLS NOT DISTINCT;

CREATE INDEX purchase_rollups_empty ON purchase_rollups (community_id) WHERE purchases = 0;

-- Who is counted in a bucket: a bit each of the 1024 members whose numbers share a chunk.
CREATE TABLE unique_sets (
    community_id  int NOT NULL,
    family        text COLLATE "C" NOT NULL,
    step          text COLLATE "C" NOT NULL,
    grain         text COLLATE "C" NOT NULL,
    bucket        timestamptz NOT NULL,
    value         text COLLATE "C",
    chunk         bigint NOT NULL,
    members       bit(1024) NOT NULL
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX unique_sets_by_bucket ON unique_sets (community_id, family, step, grain, bucket, value, chunk)
    NULLS NOT DISTINCT;

CREATE FUNCTION member_chunk(member_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT member_id >> 10
$$;

CREATE FUNCTION member_bit(member_id bigint) RETURNS bit
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT set_bit(CAST(0 AS bit(1024)), CAST(member_id & 1023 AS int), 1)
$$;

-- The local days or months, by step, that lie within two instants as a whole.
CREATE FUNCTION whole_buckets(step text, since timestamptz, until timestamptz, zone text)
RETURNS TABLE (bucket timestamptz, ends timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT start, next
FROM (
    SELECT start, lead(start) OVER (ORDER BY start) AS next
    FROM (
        -- Noon is on that day in every zone, but for days that were skipped.
        SELECT DISTINCT bucket_start((day + interval '12 hours') AT TIME ZONE zone, step, zone) AS start
        FROM generate_series(
            date_trunc(calendar_unit(step), since AT TIME ZONE zone),
            (until AT TIME ZONE zone) + CAST('1 ' || calendar_unit(step) AS interval),
            CAST('1 ' || calendar_unit(step) AS interval)
        ) AS day
    ) AS starts
) AS buckets
WHERE start >= since AND next <= until
$$;

-- A restored database may give out lower transaction ids than those that purchases were told by: then all are added
-- up anew. Gives of how many communities.
CREATE FUNCTION repair_purchase_marks() RETURNS int
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    each int;
    repaired int := 0;
BEGIN
    FOR each IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', each::text, true);
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM purchases WHERE community_id = each AND since > pg_snapshot_xmax(pg_current_snapshot())
        ) AND NOT EXISTS (
            SELECT FROM purchase_marks
            WHERE community_id = each AND watermark > pg_snapshot_xmax(pg_current_snapshot())
        );
        DELETE FROM purchase_rollups WHERE community_id = each;
        DELETE FROM unique_sets WHERE community_id = each AND family = 'purchases';
        DELETE FROM purchase_changes WHERE community_id = each;
        DELETE FROM purchase_marks WHERE community_id = each;
        UPDATE purchases
        SET since = '0'
        WHERE community_id = each AND since > pg_snapshot_xmax(pg_current_snapshot());
        repaired := repaired + 1;
    END LOOP;
    RETURN repaired;
END
$$;
