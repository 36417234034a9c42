-- Delivery of webhooks: events that wait to be matched with webhooks, and deliveries with their log.

-- The previous secret also signs until it expires. A webhook is disabled after its deliveries have failed for days.
ALTER TABLE webhooks
    ADD COLUMN previous_secret             bytea,
    ADD COLUMN previous_secret_expires_at  timestamptz,
    ADD COLUMN disabled_at                 timestamptz,
    ADD COLUMN disabled_reason             text;

-- Events that an active webhook listens to, from their commit until they are matched with the webhooks. The events of a
-- profile are numbered while it is locked, so a reader that sees an event also sees all earlier ones of that profile.
CREATE TABLE webhook_events (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    event_id      uuid NOT NULL DEFAULT gen_random_uuid(),
    type          text COLLATE "C" NOT NULL,
    occurred_at   timestamptz NOT NULL,
    profile_id    uuid,
    subject_id    text COLLATE "C",
    data          json,
    namespace     text,
    PRIMARY KEY (community_id, id)
) WITH (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

COMMENT ON COLUMN webhook_events.event_id IS 'The id that receivers see, stable across retries.';
COMMENT ON COLUMN webhook_events.data IS 'Null if the payload is the subject itself, read when the event is matched.';
COMMENT ON COLUMN webhook_events.namespace IS 'The caller, whose own webhooks do not receive the event.';

CREATE INDEX webhook_events_by_profile ON webhook_events (community_id, profile_id) WHERE profile_id IS NOT NULL;

-- Deliveries: of an event to a webhook each. Those with a `due_at` are undelivered, the others are the log. Deliveries
-- with the same ordering key are sent one after the other.
CREATE TABLE webhook_deliveries (
    community_id      int NOT NULL,
    id                bigint NOT NULL DEFAULT next_id(),
    webhook_id        bigint NOT NULL,
    event_id          uuid NOT NULL,
    event_type        text COLLATE "C" NOT NULL,
    occurred_at       timestamptz NOT NULL,
    profile_id        uuid,
    transaction_id    bigint,
    ordering_key      uuid NOT NULL,
    body              text,
    status            text COLLATE "C" NOT NULL,
    attempts          int NOT NULL DEFAULT 0,
    due_at            timestamptz,
    first_attempt_at  timestamptz,
    last_attempt_at   timestamptz,
    response_status   int,
    response_excerpt  text,
    error             text,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (community_id, id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 0);

COMMENT ON COLUMN webhook_deliveries.transaction_id IS
    'The transaction in the payload, if it had no profile. It may be assigned to a profile later.';
COMMENT ON COLUMN webhook_deliveries.body IS 'Null after the profile that it concerns was erased.';

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (community_id, webhook_id, due_at, id)
    WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_in_order ON webhook_deliveries (community_id, webhook_id, ordering_key, id)
    WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_by_webhook ON webhook_deliveries (community_id, webhook_id, id)
    WHERE webhook_id IS NOT NULL;
CREATE INDEX webhook_deliveries_by_profile ON webhook_deliveries (community_id, profile_id)
    WHERE profile_id IS NOT NULL;
CREATE INDEX webhook_deliveries_by_transaction ON webhook_deliveries (community_id, transaction_id)
    WHERE transaction_id IS NOT NULL;

-- Which process sends the deliveries of a webhook, and until when; and the pause of a webhook whose receiver fails.
CREATE TABLE webhook_leases (
    community_id          int NOT NULL,
    webhook_id            bigint NOT NULL,
    owner                 uuid,
    expires_at            timestamptz NOT NULL,
    consecutive_failures  int NOT NULL DEFAULT 0,
    paused_until          timestamptz,
    PRIMARY KEY (community_id, webhook_id)
) WITH (fillfactor = 50);
