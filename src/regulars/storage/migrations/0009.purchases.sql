-- Purchases: transactions as reports count them, aggregated by day and month, with sets of the members who purchased.

-- Derived in the transaction of the facts. dimension_*, gender and age have the values of the purchase's first commit.
-- `since` is the transaction that recorded this version; null while the purchase is in the future.
-- The primary key is created last, because among equally good indexes the planner prefers the newest.
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
    age                  text COLLATE "C"
);

CREATE INDEX purchases_since ON purchases (community_id, since);
CREATE INDEX purchases_at ON purchases (community_id, at);
CREATE INDEX purchases_by_member ON purchases (community_id, member_id, at) WHERE member_id IS NOT NULL;
ALTER TABLE purchases ADD PRIMARY KEY (community_id, id);

-- Superseded versions of purchases, until compaction has subtracted them. `until` is the transaction that recorded
-- the next version.
CREATE TABLE purchase_versions (
    LIKE purchases,
    until  xid8 NOT NULL
);

CREATE INDEX purchase_versions_until ON purchase_versions (community_id, until);

-- Purchases recorded below the watermark are contained in the rollups, whose buckets are in this time zone.
CREATE TABLE purchase_compaction_state (
    community_id  int PRIMARY KEY,
    watermark     xid8 NOT NULL,
    timezone      text NOT NULL
);

-- Sums of purchases by bucket. `grain` is the dimension whose values are distinguished, or empty for the total.
CREATE TABLE purchase_rollups (
    community_id  int NOT NULL,
    granularity   text COLLATE "C" NOT NULL,
    grain         text COLLATE "C" NOT NULL,
    bucket        timestamptz NOT NULL,
    value         text COLLATE "C",
    purchases     bigint NOT NULL,
    sales         bigint NOT NULL,
    amount        numeric NOT NULL
);

CREATE UNIQUE INDEX purchase_rollups_by_bucket ON purchase_rollups (community_id, granularity, grain, bucket, value)
    NULLS NOT DISTINCT;
CREATE INDEX purchase_rollups_empty ON purchase_rollups (community_id) WHERE purchases = 0;

-- Bitmaps of the members counted in a bucket: one bit for each of the 1024 members whose numbers share a chunk.
CREATE TABLE member_bitmaps (
    community_id  int NOT NULL,
    family        text COLLATE "C" NOT NULL,
    granularity   text COLLATE "C" NOT NULL,
    grain         text COLLATE "C" NOT NULL,
    bucket        timestamptz NOT NULL,
    value         text COLLATE "C",
    chunk         bigint NOT NULL,
    members       bit(1024) NOT NULL
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX member_bitmaps_by_bucket
    ON member_bitmaps (community_id, family, granularity, grain, bucket, value, chunk) NULLS NOT DISTINCT;

-- The chunk of a member in member_bitmaps.
CREATE FUNCTION member_chunk(member_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT member_id >> 10
$$;

-- A member's bit within its chunk.
CREATE FUNCTION member_bit(member_id bigint) RETURNS bit
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT set_bit(CAST(0 AS bit(1024)), CAST(member_id & 1023 AS int), 1)
$$;
