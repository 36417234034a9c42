-- What is known of all members: who is one and as what, how many stand in each group, now and over time.
-- depends: 0004.buckets

ALTER TABLE profiles ADD COLUMN phone_country text COLLATE "C";

COMMENT ON COLUMN profiles.phone_country IS
    'Derived when the phone is written: the region of its number, null where several share it; it outlives the phone.';

-- What a member came through: the first word of the opt-in channel, where it names a platform.
CREATE FUNCTION optin_platform(channel text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE WHEN channel IS NOT NULL THEN coalesce(
    substring(lower(channel) FROM '^[^[:alnum:]]*(ios|android|web|pos|api|import)(?![[:alnum:]])'), 'other'
) END
$$;

-- Of a birth date and a day, both as numbers such as 20261124.
CREATE FUNCTION age_group(birth_date int, day int) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN birth_date IS NULL THEN NULL
    WHEN (day - birth_date) / 10000 < 15 THEN '-14'
    WHEN (day - birth_date) / 10000 >= 80 THEN '80-'
    ELSE concat((day - birth_date) / 50000 * 5, '-', (day - birth_date) / 50000 * 5 + 4)
END
$$;

CREATE FUNCTION day_number(at timestamptz, zone text) RETURNS int
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CAST(to_char(at AT TIME ZONE zone, 'YYYYMMDD') AS int)
$$;

-- All of it is derived, in the transaction of the facts. A profile that was purged leaves its id for some days,
-- so that copies take it out.
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
    state_since       timestamptz NOT NULL DEFAULT '-infinity',
    next_change_at    timestamptz,
    transaction_id    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (community_id, profile_id)
);

COMMENT ON COLUMN members.groups IS
    'The groups that the profile stands in while it is in, each as type:value; none for a type that does not count.';
COMMENT ON COLUMN members.state_since IS
    'The commit since which it stands in them, -infinity for the first; what was before is in member_states.';
COMMENT ON COLUMN members.next_change_at IS 'When a membership that lies ahead begins to count.';

CREATE INDEX members_changed ON members (community_id, transaction_id);
CREATE INDEX members_due ON members (community_id, next_change_at) WHERE next_change_at IS NOT NULL;

CREATE INDEX members_purged ON members (community_id, updated_at) WHERE member_id IS NULL;

-- As what a profile stood before its present state.
CREATE TABLE member_states (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    since             timestamptz NOT NULL,
    until             timestamptz NOT NULL,
    groups            text[] COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    birth_date        int,
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, profile_id, since)
);

-- What has been counted of each membership, so that it can be taken back when the fact changes or goes.
CREATE TABLE membership_events (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    membership_id     bigint NOT NULL,
    type              text COLLATE "C" NOT NULL,
    at                timestamptz NOT NULL,
    is_told           boolean NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, profile_id, membership_id)
);

COMMENT ON COLUMN membership_events.is_told IS
    'Whether member_balance tells of it: the profile was of a type that counts.';

-- How many members there are more, by group and by the five minutes of local time since when. Appended in the
-- commit of the facts, taken away by the fold.
CREATE TABLE group_deltas (
    community_id    int NOT NULL,
    transaction_id  xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bucket          timestamptz NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    n               bigint NOT NULL,
    changed_at      timestamptz NOT NULL
);

CREATE INDEX group_deltas_unfolded ON group_deltas (community_id, transaction_id);

CREATE TABLE balance_deltas (
    community_id      int NOT NULL,
    transaction_id    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    bucket            timestamptz NOT NULL,
    type              text COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C",
    consents_false    text[] COLLATE "C",
    n                 bigint NOT NULL
);

CREATE INDEX balance_deltas_unfolded ON balance_deltas (community_id, transaction_id);

-- Below its watermark nothing is left to fold: what a read passes over without looking at what was taken away.
CREATE TABLE fold_marks (
    community_id   int PRIMARY KEY,
    watermark      xid8 NOT NULL DEFAULT '0',
    zone           text,
    derived_up_to  uuid
);

COMMENT ON COLUMN fold_marks.zone IS 'The zone by whose clock buckets were made; another one has them made anew.';
COMMENT ON COLUMN fold_marks.derived_up_to IS
    'Profiles beyond it are still to be derived by the sweep; null where none is.';

-- What was there before this is derived by the sweep.
INSERT INTO fold_marks (community_id, derived_up_to)
SELECT id, '00000000-0000-0000-0000-000000000000' FROM communities;

CREATE TABLE group_counts (
    community_id    int NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    members_count   bigint NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (community_id, grouping_type, grouping_value)
);

-- How many members there are more than before, by bucket of local time, of each width.
CREATE TABLE group_rollups (
    community_id    int NOT NULL,
    step            text COLLATE "C" NOT NULL DEFAULT '5m',
    bucket          timestamptz NOT NULL,
    grouping_type   text COLLATE "C" NOT NULL,
    grouping_value  text COLLATE "C" NOT NULL,
    n               bigint NOT NULL,
    PRIMARY KEY (community_id, step, grouping_type, grouping_value, bucket)
) PARTITION BY LIST (step);

-- Joins and leaves by bucket; `grain` says which of the fields are kept apart, and `dimensions` is a digest of them.
CREATE TABLE balance_rollups (
    community_id      int NOT NULL,
    step              text COLLATE "C" NOT NULL DEFAULT '5m',
    grain             text COLLATE "C" NOT NULL,
    bucket            timestamptz NOT NULL,
    dimensions        uuid NOT NULL,
    type              text COLLATE "C" NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    consents_true     text[] COLLATE "C",
    consents_false    text[] COLLATE "C",
    n                 bigint NOT NULL,
    PRIMARY KEY (community_id, step, grain, bucket, dimensions)
) PARTITION BY LIST (step);

-- Snapshots: every 15 minutes each member is counted among those that are alike. `alike` is a digest of what they
-- share; a row of snapshot_members says from which snapshot to which one was counted there, so that a purge takes
-- it out of each.
CREATE TABLE snapshot_counts (
    community_id      int NOT NULL,
    alike             uuid NOT NULL,
    members_count     bigint NOT NULL,
    optin_channel     text COLLATE "C",
    optin_subchannel  text COLLATE "C",
    optin_platform    text COLLATE "C",
    gender            text COLLATE "C",
    age               text COLLATE "C",
    country           text COLLATE "C",
    consents_true     text[] COLLATE "C" NOT NULL,
    consents_false    text[] COLLATE "C" NOT NULL,
    PRIMARY KEY (community_id, alike)
);

CREATE TABLE snapshot_members (
    community_id  int NOT NULL,
    profile_id    uuid NOT NULL,
    since         timestamptz NOT NULL,
    until         timestamptz NOT NULL,
    alike         uuid NOT NULL,
    PRIMARY KEY (community_id, profile_id, since)
);

CREATE TABLE snapshot_rollups (
    community_id  int NOT NULL,
    step          text COLLATE "C" NOT NULL DEFAULT '5m',
    bucket        timestamptz NOT NULL,
    alike         uuid NOT NULL,
    n             bigint NOT NULL,
    PRIMARY KEY (community_id, step, bucket, alike)
) PARTITION BY LIST (step);

-- Without a gap snapshots were taken from first_at to last_at.
CREATE TABLE snapshot_runs (
    community_id  int NOT NULL,
    first_at      timestamptz NOT NULL,
    last_at       timestamptz NOT NULL,
    PRIMARY KEY (community_id, first_at)
);

-- Members that no commit has changed since are as they were in the last snapshot, on the same day.
CREATE TABLE snapshot_marks (
    community_id  int PRIMARY KEY,
    watermark     xid8 NOT NULL DEFAULT '0',
    day           int NOT NULL DEFAULT 0
);

-- Rollups whose buckets are dropped in time have partitions by time, those kept forever have none.
CREATE FUNCTION partition_rollups(parent text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    step text;
BEGIN
    FOREACH step IN ARRAY ARRAY['5m', '1h', '1d'] LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L) PARTITION BY RANGE (bucket)',
            parent || '_' || step, parent, step
        );
    END LOOP;
    FOREACH step IN ARRAY ARRAY['1w', '1mo'] LOOP
        EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)', parent || '_' || step, parent, step);
    END LOOP;
END
$$;

DO $$
BEGIN
    PERFORM partition_rollups('group_rollups');
    PERFORM partition_rollups('balance_rollups');
    PERFORM partition_rollups('snapshot_rollups');
END
$$;

-- The partitions that all rollups of a step need from `first` to `last`; those before are dropped. A partition
-- holds a `unit`: day, month or year. Gives how many were dropped.
CREATE FUNCTION keep_rollups(step text, unit text, first timestamptz, last timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    name text;
    start timestamptz;
    width interval := format('1 %s', unit)::interval;
    dropped int := 0;
BEGIN
    FOR parent IN
        SELECT c.relname
        FROM pg_class AS c
        JOIN pg_inherits AS i ON i.inhrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p'
          AND i.inhparent::regclass::text LIKE '%\_rollups'
          AND c.relname = i.inhparent::regclass::text || '_' || step
        ORDER BY c.relname
    LOOP
        start := date_trunc(unit, first);
        WHILE start <= last LOOP
            name := format('%s_%s', parent, to_char(start, 'YYYYMMDD'));
            IF to_regclass(quote_ident(name)) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
                -- Read from the table: to_regclass remembers that there was none before the lock.
                IF NOT EXISTS (
                    SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name
                ) THEN
                    EXECUTE format(
                        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                        name, parent, start, start + width
                    );
                    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
                    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
                END IF;
            END IF;
            start := start + width;
        END LOOP;
        FOR name IN
            SELECT c.relname
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = quote_ident(parent)::regclass
              AND c.relname < format('%s_%s', parent, to_char(date_trunc(unit, first), 'YYYYMMDD'))
            ORDER BY c.relname
        LOOP
            PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
            EXECUTE format('DROP TABLE IF EXISTS %I', name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END
$$;

-- A restored database may give out lower transaction ids than it did where it was saved: what lies above all of them
-- would be passed over. Gives how many watermarks were taken back.
CREATE FUNCTION repair_fold_marks() RETURNS int
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    each int;
    changed int;
    repaired int := 0;
BEGIN
    FOR each IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', each::text, true);
        UPDATE fold_marks
        SET watermark = '0'
        WHERE community_id = each AND watermark > pg_snapshot_xmax(pg_current_snapshot());
        GET DIAGNOSTICS changed = ROW_COUNT;
        UPDATE snapshot_marks
        SET watermark = '0'
        WHERE community_id = each AND watermark > pg_snapshot_xmax(pg_current_snapshot());
        repaired := repaired + changed;
    END LOOP;
    RETURN repaired;
END
$$;

ALTER TABLE group_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
ALTER TABLE balance_deltas SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
