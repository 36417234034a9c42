-- Members: their dimensions, counts by group, joins and leaves, and snapshots. Everything is derived in the transaction
-- of the facts.

-- The local date of an instant as a number such as 20261124.
CREATE FUNCTION day_number(at timestamptz, zone text) RETURNS int
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CAST(to_char(at AT TIME ZONE zone, 'YYYYMMDD') AS int)
$$;

-- The dimensions of a profile, member or not. The row of an erased profile keeps its id for some days, so that replicas
-- remove it; its member_id is null. `recorded_xid` is the database transaction that wrote the row. `marketing` has the
-- channels by which the profile may be reached.
CREATE TABLE members (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    member_id         bigint,
    is_member         boolean NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    birth_date        int,
    subunit_ids       bigint[],
    group_ids         bigint[],
    favorite_stores   bigint[],
    consents_true     text[] COLLATE "C",
    consents_false    text[] COLLATE "C",
    marketing         text[] COLLATE "C",
    sms_status        text COLLATE "C",
    email_status      text COLLATE "C",
    push_status       text COLLATE "C",
    country           text COLLATE "C",
    properties        jsonb,
    created_at        timestamptz,
    updated_at        timestamptz,
    groups            text[] COLLATE "C" NOT NULL DEFAULT '{}',
    valid_from        timestamptz NOT NULL DEFAULT '-infinity',
    next_change_at    timestamptz,
    recorded_xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (community_id, profile_id)
);

COMMENT ON COLUMN members.groups IS
    'The groups in which the profile counts while it is a member, as type:value. Empty if its type does not count.';
COMMENT ON COLUMN members.valid_from IS
    'The time of the commit since which the row holds, -infinity for the first; then see member_dimension_history.';
COMMENT ON COLUMN members.next_change_at IS 'When the next future membership begins to count.';

CREATE INDEX members_due ON members (community_id, next_change_at) WHERE next_change_at IS NOT NULL;
CREATE INDEX members_erased ON members (community_id, updated_at) WHERE member_id IS NULL;
CREATE INDEX members_changed ON members (community_id, recorded_xid) WHERE recorded_xid IS NOT NULL;

-- Earlier dimensions of a profile: each row held from valid_from to before valid_to.
CREATE TABLE member_dimension_history (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    valid_from        timestamptz NOT NULL,
    valid_to          timestamptz NOT NULL,
    groups            text[] COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    birth_date        int,
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, profile_id, valid_from)
);

-- What was counted of each membership, so that it can be subtracted when the membership changes or is deleted.
CREATE TABLE membership_events (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    membership_id     bigint NOT NULL,
    type              text COLLATE "C" NOT NULL,
    occurred_at       timestamptz NOT NULL,
    is_counted        boolean NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, profile_id, membership_id)
);

COMMENT ON COLUMN membership_events.is_counted IS
    'Whether member_balance includes it: the type of the profile counted.';

-- Changes of the number of members by group and five minutes of local time. Appended in the commit of the facts and
-- removed by compaction.
CREATE TABLE group_count_deltas (
    community_id    int NOT NULL,
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bucket          timestamptz NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    delta           bigint NOT NULL,
    changed_at      timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE INDEX group_count_deltas_uncompacted ON group_count_deltas (community_id, recorded_xid);

-- Joins and leaves by five minutes of local time. Appended and removed as group_count_deltas.
CREATE TABLE member_flow_deltas (
    community_id      int NOT NULL,
    recorded_xid      xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bucket            timestamptz NOT NULL,
    type              text COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C",
    consents_false    text[] COLLATE "C",
    delta             bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

CREATE INDEX member_flow_deltas_uncompacted ON member_flow_deltas (community_id, recorded_xid);

-- Progress of compaction. No deltas are left below the watermark, so reads skip the dead rows below it.
CREATE TABLE compaction_state (
    community_id      int PRIMARY KEY,
    watermark         xid8 NOT NULL DEFAULT '0',
    timezone          text,
    backfilled_up_to  uuid
);

COMMENT ON COLUMN compaction_state.timezone IS
    'The time zone of the buckets; they are rebuilt when the community''s changes.';
COMMENT ON COLUMN compaction_state.backfilled_up_to IS
    'Profiles after it are still to be recomputed by the refresh job; null if none is.';

-- The current number of members by group.
CREATE TABLE group_counts (
    community_id    int NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    members_count   bigint NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (community_id, grouping_type, grouping_value)
);

-- Changes of the number of members by group and bucket of local time, for each granularity.
CREATE TABLE group_rollups (
    community_id    int NOT NULL,
    granularity     text COLLATE "C" NOT NULL DEFAULT '5m',
    bucket          timestamptz NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    delta           bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, grouping_type, grouping_value, bucket)
) PARTITION BY LIST (granularity);

-- Joins and leaves by bucket. `dimension_set` names the dimensions that are distinguished (empty for none, or `all`);
-- `dimensions_hash` is a digest of their values.
CREATE TABLE balance_rollups (
    community_id      int NOT NULL,
    granularity       text COLLATE "C" NOT NULL DEFAULT '5m',
    dimension_set     text COLLATE "C" NOT NULL,
    bucket            timestamptz NOT NULL,
    dimensions_hash   uuid NOT NULL,
    type              text COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C",
    consents_false    text[] COLLATE "C",
    count             bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, dimension_set, bucket, dimensions_hash)
) PARTITION BY LIST (granularity);

-- Members with equal dimensions, which snapshots count together every 15 minutes. `dimensions_hash` is a digest of the
-- dimensions.
CREATE TABLE snapshot_counts (
    community_id      int NOT NULL,
    dimensions_hash   uuid NOT NULL,
    members_count     bigint NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    country           text COLLATE "C",
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, dimensions_hash)
);

-- The snapshots, from valid_from to before valid_to, in which a member was counted in a row of snapshot_counts, so that
-- an erased member is subtracted from each.
CREATE TABLE snapshot_members (
    community_id     int NOT NULL,
    profile_id       uuid NOT NULL,
    valid_from       timestamptz NOT NULL,
    valid_to         timestamptz NOT NULL,
    dimensions_hash  uuid NOT NULL,
    PRIMARY KEY (community_id, profile_id, valid_from)
);

-- Changes of members_count by bucket, for each granularity.
CREATE TABLE snapshot_rollups (
    community_id     int NOT NULL,
    granularity      text COLLATE "C" NOT NULL DEFAULT '5m',
    bucket           timestamptz NOT NULL,
    dimensions_hash  uuid NOT NULL,
    delta            bigint NOT NULL,
    PRIMARY KEY (community_id, granularity, bucket, dimensions_hash)
) PARTITION BY LIST (granularity);

-- Periods in which snapshots were taken without a gap.
CREATE TABLE snapshot_coverage (
    community_id  int NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    PRIMARY KEY (community_id, first_at)
);

-- The last snapshot, of local date `day`. Members that no commit has changed since are the same in the next snapshot of
-- that day.
CREATE TABLE snapshot_state (
    community_id  int PRIMARY KEY,
    watermark     xid8 NOT NULL DEFAULT '0',
    day           int NOT NULL DEFAULT 0
);
