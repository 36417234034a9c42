-- Fewer statistics of profiles and members: ANALYZE was most of what PostgreSQL's background processes did while
-- members joined, because each tenth more rows has it read a sample of them again and sort each column.

-- No plan depends on these columns: they are in no condition, join, grouping or order of a statement whose plan they
-- could change.
ALTER TABLE profiles
    ALTER COLUMN title SET STATISTICS 0,
    ALTER COLUMN first_name SET STATISTICS 0,
    ALTER COLUMN last_name SET STATISTICS 0,
    ALTER COLUMN email SET STATISTICS 0,
    ALTER COLUMN gender SET STATISTICS 0,
    ALTER COLUMN birth_day SET STATISTICS 0,
    ALTER COLUMN birth_month SET STATISTICS 0,
    ALTER COLUMN birth_year SET STATISTICS 0,
    ALTER COLUMN currency SET STATISTICS 0,
    ALTER COLUMN joined_location_id SET STATISTICS 0,
    ALTER COLUMN preferred_location_id SET STATISTICS 0,
    ALTER COLUMN optin_channel SET STATISTICS 0,
    ALTER COLUMN optin_subchannel SET STATISTICS 0,
    ALTER COLUMN consents SET STATISTICS 0,
    ALTER COLUMN sms_status SET STATISTICS 0,
    ALTER COLUMN email_status SET STATISTICS 0,
    ALTER COLUMN push_status SET STATISTICS 0,
    ALTER COLUMN subunit_ids SET STATISTICS 0,
    ALTER COLUMN group_ids SET STATISTICS 0,
    ALTER COLUMN favorite_stores SET STATISTICS 0,
    ALTER COLUMN properties SET STATISTICS 0,
    ALTER COLUMN attributes SET STATISTICS 0,
    ALTER COLUMN tags SET STATISTICS 0,
    ALTER COLUMN statuses SET STATISTICS 0,
    ALTER COLUMN custom_fields SET STATISTICS 0,
    ALTER COLUMN phone_country SET STATISTICS 0;

ALTER TABLE memberships
    ALTER COLUMN consents SET STATISTICS 0,
    ALTER COLUMN optin_channel SET STATISTICS 0,
    ALTER COLUMN optin_subchannel SET STATISTICS 0;

ALTER TABLE membership_events
    ALTER COLUMN optin_channel SET STATISTICS 0,
    ALTER COLUMN optin_subchannel SET STATISTICS 0,
    ALTER COLUMN optin_platform SET STATISTICS 0,
    ALTER COLUMN gender SET STATISTICS 0,
    ALTER COLUMN age SET STATISTICS 0,
    ALTER COLUMN consents_true SET STATISTICS 0,
    ALTER COLUMN consents_false SET STATISTICS 0;

-- Plans are made once for all values, so they depend on how many values a column has and not on which are frequent:
-- a sample of 6,000 rows instead of 30,000 is enough. Its size is that of the column with the most.
DO $$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT c.oid::regclass AS name, a.attname
        FROM pg_class AS c
        JOIN pg_attribute AS a ON a.attrelid = c.oid
        WHERE c.relnamespace = 'public'::regnamespace
          AND c.relname IN (
              'profiles', 'memberships', 'members', 'membership_events', 'profile_name_words', 'snapshot_counts',
              'snapshot_members', 'balance_rollups', 'group_rollups', 'snapshot_rollups'
          )
          AND a.attnum > 0
          AND NOT a.attisdropped
          AND a.attstattarget IS DISTINCT FROM 0
        ORDER BY c.relname, a.attnum
    LOOP
        -- This includes the partitions.
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS 20', described.name, described.attname);
    END LOOP;
END
$$;

-- Gives a partition the statistics targets of its parent, which PostgreSQL does not copy.
CREATE FUNCTION copy_statistics_targets(parent text, partition text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    described record;
BEGIN
    FOR described IN
        SELECT attname, attstattarget
        FROM pg_attribute
        WHERE attrelid = format('public.%I', parent)::regclass AND attnum > 0 AND attstattarget >= 0
    LOOP
        EXECUTE format(
            'ALTER TABLE public.%I ALTER COLUMN %I SET STATISTICS %s',
            partition, described.attname, described.attstattarget
        );
    END LOOP;
END
$$;

CREATE OR REPLACE FUNCTION create_partition(parent text, name text, lower text, upper text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF to_regclass(format('public.%I', name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
    -- Not by to_regclass, which may have cached that there was none before the lock.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name) THEN
        RETURN false;
    END IF;
    IF (SELECT count(*) FROM pg_inherits WHERE inhparent = format('public.%I', parent)::regclass) >= 4000 THEN
        RAISE EXCEPTION '% has the maximum of 4000 partitions', parent;
    END IF;
    EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)', name, parent, lower, upper
    );
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    PERFORM copy_statistics_targets(parent, name);
    RETURN true;
END
$$;
