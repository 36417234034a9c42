-- Offers to members, collections of offers, and their events.

-- The name of an event type.
CREATE FUNCTION offer_event_name(code smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (ARRAY['seen', 'clicked', 'granted', 'used'])[code]
$$;

-- Collections of offers. One that an offer refers to before it arrives itself is a placeholder and has no name.
CREATE TABLE offer_collections (
    community_id    int NOT NULL,
    id              bigint NOT NULL DEFAULT next_id(),
    external_id     text COLLATE "C" NOT NULL,
    is_placeholder  boolean NOT NULL,
    name            text COLLATE "C",
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX offer_collections_by_external_id ON offer_collections (community_id, external_id);

-- An offer such as a coupon. Events may arrive before the offer they refer to: until it arrives, its row is a
-- placeholder and not reported. Event writers lock the row, so that its counters have a single writer. All its events
-- are between first_event_at and last_event_at; after an erasure these may be further apart than the remaining events.
CREATE TABLE offers (
    community_id    int NOT NULL,
    id              bigint NOT NULL DEFAULT next_id(),
    external_id     text COLLATE "C" NOT NULL,
    is_placeholder  boolean NOT NULL,
    name            text COLLATE "C",
    type            text COLLATE "C",
    status          text COLLATE "C",
    collection_ids  bigint[] NOT NULL DEFAULT '{}',
    location_id     bigint,
    campaign_id     bigint,
    usable_since    timestamptz,
    usable_until    timestamptz,
    stock           bigint,
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz,
    seen_count      bigint NOT NULL DEFAULT 0,
    clicked_count   bigint NOT NULL DEFAULT 0,
    granted_count   bigint NOT NULL DEFAULT 0,
    used_count      bigint NOT NULL DEFAULT 0,
    first_event_at  timestamptz,
    last_event_at   timestamptz,
    PRIMARY KEY (community_id, id)
) WITH (fillfactor = 60);

CREATE UNIQUE INDEX offers_by_external_id ON offers (community_id, external_id) WHERE external_id IS NOT NULL;

-- Events of offers. `event_key_hash` is a hash of the event's external id, which is unique within the offer. The
-- columns are ordered to avoid padding.
CREATE TABLE offer_events (
    offer_id                 bigint NOT NULL,
    occurred_at              timestamptz NOT NULL,
    event_key_hash           uuid NOT NULL,
    profile_id               uuid,
    location_id              bigint,
    community_id             int NOT NULL,
    event_type               smallint NOT NULL,
    transaction_external_id  text COLLATE "C",
    PRIMARY KEY (community_id, offer_id, event_key_hash)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX offer_events_by_profile ON offer_events (community_id, profile_id) WHERE profile_id IS NOT NULL;
CREATE INDEX offer_events_by_offer ON offer_events (community_id, offer_id, event_type, occurred_at)
    INCLUDE (profile_id, location_id) WHERE event_type IS NOT NULL;

-- Events of an offer by bucket and location, for each granularity; location_id is 0 if the location is unknown.
CREATE TABLE offer_rollups (
    community_id  int NOT NULL,
    granularity   text COLLATE "C" NOT NULL DEFAULT '5m',
    offer_id      bigint NOT NULL,
    bucket        timestamptz NOT NULL,
    event_type    text COLLATE "C" NOT NULL,
    location_id   bigint NOT NULL,
    count         bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, offer_id, bucket, event_type, location_id)
) PARTITION BY LIST (granularity);
