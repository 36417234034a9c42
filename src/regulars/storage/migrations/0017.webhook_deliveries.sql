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
