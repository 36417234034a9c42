-- Sendings (messages to members), their dispatches to recipients, and the events of those.

-- The name of an event type.
CREATE FUNCTION sending_event_name(code smallint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT (ARRAY[
    'scheduled', 'transmitted', 'delivered', 'failed', 'opened', 'clicked', 'bounced', 'unsubscribed', 'complained'
])[code]
$$;

-- A message that is sent to many recipients. Events may arrive before the sending they refer to: until it arrives, its
-- row is a placeholder and not reported. Event writers lock the row, so that its counters have a single writer.
CREATE TABLE sendings (
    community_id          int NOT NULL,
    id                    bigint NOT NULL DEFAULT next_id(),
    external_id           text COLLATE "C" NOT NULL,
    is_placeholder        boolean NOT NULL,
    reporting_id          bigint,
    language              text COLLATE "C",
    channel               text COLLATE "C",
    service_type          text COLLATE "C",
    source_id             text COLLATE "C",
    source_app            text COLLATE "C",
    source_type           text COLLATE "C",
    audience_id           bigint,
    campaign_id           bigint,
    created_at            timestamptz NOT NULL,
    dispatches_count      bigint NOT NULL DEFAULT 0,
    members_count         bigint NOT NULL DEFAULT 0,
    new_count             bigint NOT NULL DEFAULT 0,
    scheduled_count       bigint NOT NULL DEFAULT 0,
    transmitted_count     bigint NOT NULL DEFAULT 0,
    delivered_count       bigint NOT NULL DEFAULT 0,
    failed_count          bigint NOT NULL DEFAULT 0,
    opened_count          bigint NOT NULL DEFAULT 0,
    unique_opened_count   bigint NOT NULL DEFAULT 0,
    clicked_count         bigint NOT NULL DEFAULT 0,
    unique_clicked_count  bigint NOT NULL DEFAULT 0,
    bounced_count         bigint NOT NULL DEFAULT 0,
    unsubscribed_count    bigint NOT NULL DEFAULT 0,
    complained_count      bigint NOT NULL DEFAULT 0,
    first_event_at        timestamptz,
    last_event_at         timestamptz,
    PRIMARY KEY (community_id, id)
) WITH (fillfactor = 60);

CREATE INDEX sendings_by_reporting_id ON sendings (community_id, reporting_id) WHERE reporting_id IS NOT NULL;
CREATE INDEX sendings_by_campaign ON sendings (community_id, campaign_id) WHERE campaign_id IS NOT NULL;
CREATE UNIQUE INDEX sendings_by_external_id ON sendings (community_id, external_id) WHERE external_id IS NOT NULL;

-- One message to one recipient. `dispatch_key_hash` is a hash of its external id. `event_mask` has the bit 1 << event
-- type of each of its events. gender, age, optin_platform and country are the recipient's when the first transmission
-- was recorded. `active_days` has the UTC days with events in their order, each as 1024 * (days since 2000) plus the
-- bit 1 << event type of each event of the day and bit 1 for any.
CREATE TABLE sending_dispatches (
    id                 bigint NOT NULL DEFAULT next_id(),
    sending_id         bigint NOT NULL,
    dispatch_key_hash  uuid NOT NULL,
    profile_id         uuid,
    transmitted_at     timestamptz,
    community_id       int NOT NULL,
    event_mask         int NOT NULL,
    gender             text COLLATE "C",
    age                text COLLATE "C",
    optin_platform     text COLLATE "C",
    country            text COLLATE "C",
    active_days        int[] NOT NULL DEFAULT '{}',
    PRIMARY KEY (community_id, sending_id, dispatch_key_hash)
) WITH (fillfactor = 80);

CREATE INDEX sending_dispatches_by_profile ON sending_dispatches (community_id, profile_id, sending_id)
    WHERE profile_id IS NOT NULL;

-- Events of dispatches. `event_key_hash` is a hash of the event's external id, which is unique within the dispatch. The
-- columns are ordered to avoid padding.
CREATE TABLE sending_events (
    dispatch_id     bigint NOT NULL,
    sending_id      bigint NOT NULL,
    occurred_at     timestamptz NOT NULL,
    event_key_hash  uuid NOT NULL,
    community_id    int NOT NULL,
    event_type      smallint NOT NULL,
    PRIMARY KEY (community_id, dispatch_id, event_key_hash)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX sending_events_by_sending ON sending_events (community_id, sending_id, event_type, occurred_at)
    INCLUDE (dispatch_id);

-- Events of a sending by UTC day and event type (0: any), and by the day of the previous such event of the same
-- dispatch (-infinity if there is none). An event is the first in a range of days if `previous_day` is before the
-- range, so unique dispatches of a range are counted from its days instead of its events.
CREATE TABLE sending_daily_uniques (
    sending_id    bigint NOT NULL,
    count         bigint NOT NULL,
    community_id  int NOT NULL,
    day           date NOT NULL,
    previous_day  date NOT NULL,
    event_type    smallint NOT NULL,
    PRIMARY KEY (community_id, sending_id, event_type, day, previous_day)
) WITH (fillfactor = 80);

-- Events of a sending by bucket, for each granularity.
CREATE TABLE sending_rollups (
    community_id  int NOT NULL,
    granularity   text COLLATE "C" NOT NULL DEFAULT '5m',
    sending_id    bigint NOT NULL,
    bucket        timestamptz NOT NULL,
    event_type    text COLLATE "C" NOT NULL,
    count         bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, sending_id, bucket, event_type)
) PARTITION BY LIST (granularity);

-- Recipients of a sending by the bucket of their first transmission. `dimensions_hash` is a hash of their dimensions.
CREATE TABLE recipient_rollups (
    community_id     int NOT NULL,
    granularity      text COLLATE "C" NOT NULL DEFAULT '5m',
    sending_id       bigint NOT NULL,
    bucket           timestamptz NOT NULL,
    dimensions_hash  uuid NOT NULL,
    gender           text COLLATE "C",
    age              text COLLATE "C",
    optin_platform   text COLLATE "C",
    country          text COLLATE "C",
    count            bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, sending_id, bucket, dimensions_hash)
) PARTITION BY LIST (granularity);

-- The time zone of the buckets of a fact type; a change of the community's time zone rebuilds them.
CREATE TABLE rollup_timezones (
    community_id  int NOT NULL,
    fact_type     text COLLATE "C" NOT NULL,
    timezone      text NOT NULL,
    PRIMARY KEY (community_id, fact_type)
);
