-- What the app's role may not do by itself is done by functions of the owner, which check their arguments.
-- depends: 0020.commit_markers
--
-- Each function pins search_path with pg_temp last: where pg_temp is not named, it is searched first, and a caller's
-- temporary table would stand in for ours. Who may call them is declared in storage/privileges.py.

-- Makes room for one day of a feed. Gives whether there was none.
CREATE OR REPLACE FUNCTION keep_partition(parent text, first_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    name text := format('%s_%s', parent, to_char(first_day, 'YYYYMMDD'));
BEGIN
    IF coalesce(parent, '') NOT IN ('outbox', 'idempotency_keys', 'commit_markers') THEN
        RAISE EXCEPTION 'no partitioned feed is called %', parent;
    END IF;
    IF first_day IS NULL OR first_day NOT BETWEEN date '2000-01-01' AND date '2199-12-31' THEN
        RAISE EXCEPTION 'a day of % is from 2000-01-01 to 2199-12-31, not %', parent, first_day;
    END IF;
    IF to_regclass(format('public.%I', name)) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
    -- Read from the table: to_regclass remembers that there was none before the lock.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name) THEN
        RETURN false;
    END IF;
    PERFORM require_room_for_partition(parent);
    EXECUTE format(
        'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
        name, parent, first_day, first_day + 1
    );
    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
    RETURN true;
END
$$;

-- A statement locks every partition that it may read, so their number is bounded.
CREATE FUNCTION require_room_for_partition(parent text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF (SELECT count(*) FROM pg_inherits WHERE inhparent = format('public.%I', parent)::regclass) >= 4000 THEN
        RAISE EXCEPTION '% has 4000 partitions, which is the most', parent;
    END IF;
END
$$;

-- Drops the days of a feed before a day, never one that is still to be kept by the database's own clock: keys of
-- repeated requests and markers of commits are needed for 24 hours, the outbox is kept for a day at least. Gives how
-- many were dropped.
CREATE OR REPLACE FUNCTION drop_partitions(parent text, before_day date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kept_since date := least(before_day, (now() AT TIME ZONE 'UTC')::date - 1);
    name text;
    dropped int := 0;
BEGIN
    IF coalesce(parent, '') NOT IN ('outbox', 'idempotency_keys', 'commit_markers') THEN
        RAISE EXCEPTION 'no partitioned feed is called %', parent;
    END IF;
    IF before_day IS NULL OR before_day NOT BETWEEN date '2000-01-01' AND date '2199-12-31' THEN
        RAISE EXCEPTION 'a day of % is from 2000-01-01 to 2199-12-31, not %', parent, before_day;
    END IF;
    -- Before the partitions are listed, so that no other process drops one meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
    FOR name IN
        SELECT c.relname
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('public.%I', parent)::regclass
          AND c.relname < format('%s_%s', parent, to_char(kept_since, 'YYYYMMDD'))
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE public.%I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;

ALTER FUNCTION gather_statistics() SET search_path = pg_catalog, public, pg_temp;

-- How long buckets of a step are kept after their end, and what a partition of them holds: the same as
-- reports/interval.py and reports/rollups.py.
CREATE FUNCTION rollup_terms() RETURNS TABLE (step text, unit text, kept interval)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
VALUES ('5m', 'day', interval '14 days'), ('1h', 'month', interval '184 days'), ('1d', 'year', interval '731 days')
$$;

-- The partitions that all rollups of a step need from `first` to `last`; those before are dropped, but none that is
-- still to be kept by the database's own clock. Gives how many were dropped.
CREATE OR REPLACE FUNCTION keep_rollups(step text, unit text, first timestamptz, last timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    name text;
    start timestamptz;
    kept_since timestamptz;
    width interval;
    dropped int := 0;
BEGIN
    -- Two days more than the term: a bucket begins earlier by its own width and the zone.
    SELECT least(first, now() - t.kept - interval '2 days'), format('1 %s', t.unit)::interval
    INTO kept_since, width
    FROM rollup_terms() AS t
    WHERE t.step = keep_rollups.step AND t.unit = keep_rollups.unit;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no rollups are kept by step % in partitions of a %', step, unit;
    END IF;
    IF first IS NULL OR last IS NULL OR first > last OR first < '2000-01-01' OR last >= '2200-01-01'
        OR first + 200 * width < last
    THEN
        RAISE EXCEPTION 'partitions are made from 2000 to 2199, at most 200 of a step at once, not from % to %',
            first, last;
    END IF;
    FOR parent IN
        SELECT c.relname
        FROM pg_class AS c
        JOIN pg_inherits AS i ON i.inhrelid = c.oid
        JOIN pg_class AS p ON p.oid = i.inhparent
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p'
          AND p.relnamespace = c.relnamespace AND p.relname LIKE '%\_rollups'
          AND c.relname = p.relname || '_' || step
        ORDER BY c.relname
    LOOP
        start := date_trunc(unit, first);
        WHILE start <= last LOOP
            name := format('%s_%s', parent, to_char(start, 'YYYYMMDD'));
            IF to_regclass(format('public.%I', name)) IS NULL THEN
                PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
                -- Read from the table: to_regclass remembers that there was none before the lock.
                IF NOT EXISTS (
                    SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name
                ) THEN
                    PERFORM require_room_for_partition(parent);
                    EXECUTE format(
                        'CREATE TABLE public.%I PARTITION OF public.%I FOR VALUES FROM (%L) TO (%L)',
                        name, parent, start, start + width
                    );
                    EXECUTE format('ALTER TABLE public.%I ENABLE ROW LEVEL SECURITY', name);
                    EXECUTE format('ALTER TABLE public.%I FORCE ROW LEVEL SECURITY', name);
                END IF;
            END IF;
            start := start + width;
        END LOOP;
        FOR name IN
            SELECT c.relname
            FROM pg_inherits AS i
            JOIN pg_class AS c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('public.%I', parent)::regclass
              AND c.relname < format('%s_%s', parent, to_char(date_trunc(unit, kept_since), 'YYYYMMDD'))
            ORDER BY c.relname
        LOOP
            PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
            EXECUTE format('DROP TABLE IF EXISTS public.%I', name);
            dropped := dropped + 1;
        END LOOP;
    END LOOP;
    RETURN dropped;
END
$$;

-- A community is taken back to a watermark as the caller, within its own rows.
ALTER FUNCTION repair_fold_marks() SET search_path = pg_catalog, public, pg_temp;
ALTER FUNCTION repair_purchase_marks() SET search_path = pg_catalog, public, pg_temp;

-- Revokes a token of an organization. Gives false where there is none, or it was revoked before.
CREATE FUNCTION revoke_token(organization int, token int, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    is_revoked boolean;
BEGIN
    IF at IS NULL THEN
        RAISE EXCEPTION 'a token is revoked at an instant, not at null';
    END IF;
    -- An owner that is no superuser sees the tokens of one organization only.
    PERFORM set_config('regulars.organization_id', organization::text, true);
    UPDATE tokens SET revoked_at = at WHERE id = token AND organization_id = organization AND revoked_at IS NULL;
    is_revoked := FOUND;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN is_revoked;
END
$$;

-- Deletes the tokens that are bound to profiles which are gone. Gives how many there were.
CREATE FUNCTION delete_profile_tokens(organization int, community int, profiles uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    deleted int;
BEGIN
    PERFORM set_config('regulars.organization_id', organization::text, true);
    DELETE FROM tokens
    WHERE organization_id = organization AND community_id = community AND profile_id = ANY (profiles);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN deleted;
END
$$;

-- Sets one setting of an organization; null takes the server's own. Gives whether there is an organization of that
-- name. How large each may be is checked by the table.
CREATE FUNCTION set_organization_setting(organization text, setting text, value int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    changed int;
BEGIN
    IF coalesce(setting, '') NOT IN (
        'smallest_cell', 'general_capacity', 'general_refill', 'reporting_capacity', 'reporting_refill'
    ) THEN
        RAISE EXCEPTION 'no setting of an organization is called %', setting;
    END IF;
    EXECUTE format('UPDATE public.organizations SET %I = $1 WHERE name = $2', setting) USING value, organization;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed = 1;
END
$$;
