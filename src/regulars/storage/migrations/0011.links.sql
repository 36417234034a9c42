-- Links in sendings, offers and elsewhere, their visits and visitors.

-- The distinct combinations that visits are counted by; `key` is a digest of one. A link is reported once its sending
-- is known. `offer` is an offer's external id.
CREATE TABLE links (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    key           uuid NOT NULL,
    source_type   text COLLATE "C" NOT NULL,
    sending_id    bigint,
    offer         text COLLATE "C",
    host          text COLLATE "C" NOT NULL,
    path          text COLLATE "C" NOT NULL,
    utm_source    text COLLATE "C",
    utm_medium    text COLLATE "C",
    utm_campaign  text COLLATE "C",
    utm_content   text COLLATE "C",
    utm_term      text COLLATE "C",
    PRIMARY KEY (community_id, id)
);

CREATE INDEX links_by_sending ON links (community_id, sending_id) WHERE sending_id IS NOT NULL;
CREATE UNIQUE INDEX links_by_key ON links (community_id, key) WHERE key IS NOT NULL;

-- Visitors, numbered from 1 within the community. `key` is a profile's id, or a digest of what identifies an anonymous
-- visitor.
CREATE TABLE link_visitors (
    community_id  int NOT NULL,
    key           uuid NOT NULL,
    number        int NOT NULL,
    is_profile    boolean NOT NULL,
    PRIMARY KEY (community_id, key)
);

CREATE UNIQUE INDEX link_visitors_by_number ON link_visitors (community_id, number);

-- Visits of links. `key` is a digest of the visit's external id. The columns are ordered to avoid padding.
CREATE TABLE link_visits (
    link_id       bigint NOT NULL,
    at            timestamptz NOT NULL,
    key           uuid NOT NULL,
    community_id  int NOT NULL,
    visitor       int,
    PRIMARY KEY (community_id, key)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX link_visits_at ON link_visits (community_id, at) INCLUDE (link_id, visitor);
CREATE INDEX link_visits_by_visitor ON link_visits (community_id, visitor) WHERE visitor IS NOT NULL;

-- Visits of a link by bucket, in segments small enough to be rewritten cheaply. `visitors` holds the numbers of the
-- known visitors, four bytes each, unordered and with repetitions.
CREATE TABLE link_rollups (
    link_id       bigint NOT NULL,
    bucket        timestamptz NOT NULL,
    community_id  int NOT NULL,
    segment       int NOT NULL,
    visits        int NOT NULL,
    step          text COLLATE "C" NOT NULL DEFAULT '5m',
    visitors      bytea NOT NULL,
    PRIMARY KEY (community_id, step, link_id, bucket, segment)
) PARTITION BY LIST (step);

-- The time zone of the buckets; a change of the community's time zone rebuilds them.
CREATE TABLE link_zones (
    community_id  int PRIMARY KEY,
    zone          text NOT NULL
);

-- The numbers in link_rollups.visitors.
CREATE FUNCTION visitor_numbers(visitors bytea) RETURNS SETOF int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (get_byte(visitors, n) << 24) | (get_byte(visitors, n + 1) << 16) | (get_byte(visitors, n + 2) << 8)
    | get_byte(visitors, n + 3)
FROM generate_series(0, length(visitors) - 4, 4) AS n
$$;
