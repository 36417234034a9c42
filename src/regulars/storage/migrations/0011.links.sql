-- Links in sendings, offers and elsewhere, their visits and visitors.

-- The distinct combinations that visits are counted by; `link_hash` is a hash of one. A link is reported once its
-- sending has arrived.
CREATE TABLE links (
    community_id       int NOT NULL,
    id                 bigint NOT NULL DEFAULT next_id(),
    link_hash          uuid NOT NULL,
    source_type        text COLLATE "C" NOT NULL,
    sending_id         bigint,
    offer_external_id  text COLLATE "C",
    host               text COLLATE "C" NOT NULL,
    path               text COLLATE "C" NOT NULL,
    utm_source         text COLLATE "C",
    utm_medium         text COLLATE "C",
    utm_campaign       text COLLATE "C",
    utm_content        text COLLATE "C",
    utm_term           text COLLATE "C",
    PRIMARY KEY (community_id, id)
);

CREATE INDEX links_by_sending ON links (community_id, sending_id) WHERE sending_id IS NOT NULL;
CREATE UNIQUE INDEX links_by_hash ON links (community_id, link_hash) WHERE link_hash IS NOT NULL;

-- Visitors, numbered from 1 within the community. `visitor_hash` is a profile's id, or a hash of what identifies an
-- anonymous visitor.
CREATE TABLE link_visitors (
    community_id  int NOT NULL,
    visitor_hash  uuid NOT NULL,
    visitor_no    int NOT NULL,
    is_profile    boolean NOT NULL,
    PRIMARY KEY (community_id, visitor_hash)
);

CREATE UNIQUE INDEX link_visitors_by_number ON link_visitors (community_id, visitor_no);

-- Visits of links. `visit_key_hash` is a hash of the visit's external id. The columns are ordered to avoid padding.
CREATE TABLE link_visits (
    link_id         bigint NOT NULL,
    visited_at      timestamptz NOT NULL,
    visit_key_hash  uuid NOT NULL,
    community_id    int NOT NULL,
    visitor_no      int,
    PRIMARY KEY (community_id, visit_key_hash)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX link_visits_by_time ON link_visits (community_id, visited_at) INCLUDE (link_id, visitor_no);
CREATE INDEX link_visits_by_visitor ON link_visits (community_id, visitor_no) WHERE visitor_no IS NOT NULL;

-- Visits of a link by bucket, in segments small enough to be rewritten cheaply. `visitor_nos` holds the numbers of the
-- known visitors, four bytes each, unordered and with repetitions.
CREATE TABLE link_rollups (
    link_id       bigint NOT NULL,
    bucket        timestamptz NOT NULL,
    community_id  int NOT NULL,
    segment_no    int NOT NULL,
    visits        int NOT NULL,
    granularity   text COLLATE "C" NOT NULL DEFAULT '5m',
    visitor_nos   bytea NOT NULL,
    PRIMARY KEY (community_id, granularity, link_id, bucket, segment_no)
) PARTITION BY LIST (granularity);

-- The numbers in link_rollups.visitor_nos.
CREATE FUNCTION visitor_numbers(visitor_nos bytea) RETURNS SETOF int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (get_byte(visitor_nos, n) << 24) | (get_byte(visitor_nos, n + 1) << 16) | (get_byte(visitor_nos, n + 2) << 8)
    | get_byte(visitor_nos, n + 3)
FROM generate_series(0, length(visitor_nos) - 4, 4) AS n
$$;
