-- Purchases: transactions as reports count them, aggregated by day and month, with sets of the members who purchased.

-- Derived in the transaction of the facts. `sales` is 1 for a sale, 0 for a return. dimension_*, gender and age have
-- the values of the purchase's first commit. `recorded_xid` is the database transaction that recorded this version;
-- null while the purchase is in the future.
-- The primary key is created last, because among equally good indexes the planner prefers the newest.
CREATE TABLE purchases (
    community_id         int NOT NULL,
    id                   bigint NOT NULL,
    recorded_xid         xid8,
    purchased_at         timestamptz NOT NULL,
    is_counted           boolean NOT NULL,
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

CREATE INDEX purchases_by_xid ON purchases (community_id, recorded_xid);
CREATE INDEX purchases_by_time ON purchases (community_id, purchased_at);
CREATE INDEX purchases_by_member ON purchases (community_id, member_id, purchased_at) WHERE member_id IS NOT NULL;
ALTER TABLE purchases ADD PRIMARY KEY (community_id, id);

-- Superseded versions of purchases, until compaction has subtracted them. `superseded_xid` is the database transaction
-- that recorded the next version.
CREATE TABLE purchase_versions (
    LIKE purchases,
    superseded_xid  xid8 NOT NULL
);

CREATE INDEX purchase_versions_by_superseded_xid ON purchase_versions (community_id, superseded_xid);

-- Purchases recorded below the watermark are contained in the rollups, whose buckets are in this time zone.
CREATE TABLE purchase_compaction_state (
    community_id  int PRIMARY KEY,
    watermark     xid8 NOT NULL,
    timezone      text NOT NULL
);

-- Sums of purchases by bucket. `dimension` names the dimension whose values are distinguished; it is empty for the
-- total.
CREATE TABLE purchase_rollups (
    community_id     int NOT NULL,
    granularity      text COLLATE "C" NOT NULL,
    dimension        text COLLATE "C" NOT NULL,
    bucket           timestamptz NOT NULL,
    dimension_value  text COLLATE "C",
    purchases        bigint NOT NULL,
    sales            bigint NOT NULL,
    amount           numeric NOT NULL
);

CREATE UNIQUE INDEX purchase_rollups_by_bucket
    ON purchase_rollups (community_id, granularity, dimension, bucket, dimension_value) NULLS NOT DISTINCT;
CREATE INDEX purchase_rollups_empty ON purchase_rollups (community_id) WHERE purchases = 0;

-- Bitmaps of the members counted in a bucket: one bit for each of the 1024 members whose ids share a chunk.
-- `metric_family` names what is counted, such as purchases.
CREATE TABLE member_bitmaps (
    community_id     int NOT NULL,
    metric_family    text COLLATE "C" NOT NULL,
    granularity      text COLLATE "C" NOT NULL,
    dimension        text COLLATE "C" NOT NULL,
    bucket           timestamptz NOT NULL,
    dimension_value  text COLLATE "C",
    chunk            bigint NOT NULL,
    bitmap           bit(1024) NOT NULL
) WITH (fillfactor = 80);

CREATE UNIQUE INDEX member_bitmaps_by_bucket
    ON member_bitmaps (community_id, metric_family, granularity, dimension, bucket, dimension_value, chunk)
    NULLS NOT DISTINCT;

-- The chunk of a member in member_bitmaps.
CREATE FUNCTION bitmap_chunk(member_id bigint) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT member_id >> 10
$$;

-- The bitmap of a chunk with the bit of one member.
CREATE FUNCTION bitmap_bit(member_id bigint) RETURNS bit
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT set_bit(CAST(0 AS bit(1024)), CAST(member_id & 1023 AS int), 1)
$$;
