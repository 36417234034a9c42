-- Counts of dispatches that rates divide, and phone numbers as they are dialled.

ALTER TABLE sendings
    ADD COLUMN unique_delivered_count     bigint NOT NULL DEFAULT 0,
    ADD COLUMN unique_engaged_count       bigint NOT NULL DEFAULT 0,
    ADD COLUMN unique_bounced_count       bigint NOT NULL DEFAULT 0,
    ADD COLUMN unique_unsubscribed_count  bigint NOT NULL DEFAULT 0;

COMMENT ON COLUMN sendings.unique_delivered_count IS 'Dispatches that were delivered, opened or clicked.';
COMMENT ON COLUMN sendings.unique_engaged_count IS 'Dispatches that were opened or clicked.';
COMMENT ON COLUMN sendings.unique_unsubscribed_count IS 'Of the delivered dispatches, those with an unsubscription.';
COMMENT ON COLUMN sending_daily_uniques.event_type IS
    'An event type; 0: any; 10: delivered, opened or clicked; 11: opened or clicked; 12: those of 10, or unsubscribed.';

-- The owner is subject to row-level security as well; it is forced again after the migration.
ALTER TABLE sendings NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sending_dispatches NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sending_events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE sending_daily_uniques NO FORCE ROW LEVEL SECURITY;

UPDATE sendings AS stored
SET unique_delivered_count = counted.delivered,
    unique_engaged_count = counted.engaged,
    unique_bounced_count = counted.bounced,
    unique_unsubscribed_count = counted.unsubscribed
FROM (
    SELECT
        community_id, sending_id,
        count(*) FILTER (WHERE event_mask & 104 <> 0) AS delivered,
        count(*) FILTER (WHERE event_mask & 96 <> 0) AS engaged,
        count(*) FILTER (WHERE event_mask & 128 <> 0) AS bounced,
        count(*) FILTER (WHERE event_mask & 256 <> 0 AND event_mask & 104 <> 0) AS unsubscribed
    FROM sending_dispatches
    GROUP BY community_id, sending_id
) AS counted
WHERE stored.community_id = counted.community_id AND stored.id = counted.sending_id;

INSERT INTO sending_daily_uniques (sending_id, count, community_id, day, previous_day, event_type)
SELECT sending_id, count(*), community_id, day, previous_day, event_type
FROM (
    SELECT
        e.community_id, e.sending_id, types.event_type, utc_day(e.occurred_at) AS day,
        coalesce(
            lag(utc_day(e.occurred_at)) OVER (
                PARTITION BY e.community_id, e.dispatch_id, types.event_type ORDER BY e.occurred_at
            ),
            '-infinity'
        ) AS previous_day
    FROM sending_events AS e
    JOIN (VALUES (10, 104), (11, 96), (12, 360)) AS types (event_type, mask)
        ON (1 << e.event_type) & types.mask <> 0
) AS by_day
GROUP BY sending_id, community_id, day, previous_day, event_type;

ALTER TABLE profiles ADD COLUMN mobile_phone_e164 text COLLATE "C";

COMMENT ON COLUMN profiles.mobile_phone_e164 IS
    'Derived when the phone number is written: its form by E.164; null if it is no phone number.';

CREATE UNIQUE INDEX profiles_by_mobile_phone_e164 ON profiles (community_id, mobile_phone_e164)
    WHERE deleted_at IS NULL;

-- Profiles that are stored already have other spellings of genders, and channels without a status.
ALTER TABLE communities ADD COLUMN has_unnormalized_profiles boolean NOT NULL DEFAULT true;
ALTER TABLE communities ALTER COLUMN has_unnormalized_profiles SET DEFAULT false;

COMMENT ON COLUMN communities.has_unnormalized_profiles IS
    'Whether profiles are stored that were not normalized when they were written.';
