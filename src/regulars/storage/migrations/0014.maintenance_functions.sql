-- Partitions, statistics and recovery. Functions with SECURITY DEFINER do what the app's role may not do itself, and
-- check their arguments; which of them it may call is declared in storage/privileges.py. Each pins search_path with
-- pg_temp last: if pg_temp is not named it is searched first, and a caller's temporary table would shadow ours.

-- Creates a partition with the values from `lower` to below `upper`. Returns false if it exists. Raises if the table
-- has 4000 partitions, because a statement locks every partition it may read.
CREATE FUNCTION create_partition(parent text, name text, lower text, upper text) RETURNS boolean
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
    RETURN true;
END
$$;

-- Drops the partitions of a table whose names, which end with their first day, sort before one. Returns their number.
CREATE FUNCTION drop_partitions_before(parent text, first_name text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    name text;
    dropped int := 0;
BEGIN
    FOR name IN
        SELECT c.relname
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = format('public.%I', parent)::regclass AND c.relname < first_name
        ORDER BY c.relname
    LOOP
        PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
        -- Another process may have dropped it while this one waited for the lock.
        IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name) THEN
            EXECUTE format('DROP TABLE public.%I', name);
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END
$$;

-- Raises unless a table is partitioned by day, and the day is valid.
CREATE FUNCTION check_partition_day(parent text, day date) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    IF coalesce(parent, '') NOT IN ('outbox', 'idempotency_keys', 'commit_markers') THEN
        RAISE EXCEPTION 'unknown partitioned table %, allowed: outbox, idempotency_keys, commit_markers', parent;
    END IF;
    IF day IS NULL OR day NOT BETWEEN date '2000-01-01' AND date '2199-12-31' THEN
        RAISE EXCEPTION 'day % of % is out of range: 2000-01-01 to 2199-12-31', day, parent;
    END IF;
END
$$;

-- Creates the partition for one day of a table. Returns false if it exists.
CREATE FUNCTION ensure_partition(parent text, first_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_partition_day(parent, first_day);
    RETURN create_partition(
        parent, format('%s_%s', parent, to_char(first_day, 'YYYYMMDD')), first_day::text, (first_day + 1)::text
    );
END
$$;

-- Drops a table's partitions before a day, except those that must be retained by the database's own clock: idempotency
-- keys and commit markers for 24 hours, the outbox for at least a day. Returns the number of partitions dropped.
CREATE FUNCTION drop_partitions(parent text, before_day date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM check_partition_day(parent, before_day);
    RETURN drop_partitions_before(
        parent,
        format('%s_%s', parent, to_char(least(before_day, (now() AT TIME ZONE 'UTC')::date - 1), 'YYYYMMDD'))
    );
END
$$;

-- Partitions rollups by granularity. Those whose buckets expire are partitioned by time as well.
CREATE FUNCTION partition_rollups(parent text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    granularity text;
BEGIN
    FOREACH granularity IN ARRAY ARRAY['5m', '1h', '1d'] LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L) PARTITION BY RANGE (bucket)',
            parent || '_' || granularity, parent, granularity
        );
    END LOOP;
    FOREACH granularity IN ARRAY ARRAY['1w', '1mo'] LOOP
        EXECUTE format(
            'CREATE TABLE %I PARTITION OF %I FOR VALUES IN (%L)', parent || '_' || granularity, parent, granularity
        );
    END LOOP;
END
$$;

DO $$
DECLARE
    parent text;
BEGIN
    FOREACH parent IN ARRAY ARRAY[
        'balance_rollups', 'group_rollups', 'link_rollups', 'offer_rollups', 'recipient_rollups', 'sending_rollups',
        'snapshot_rollups'
    ] LOOP
        PERFORM partition_rollups(parent);
    END LOOP;
END
$$;

-- By granularity: the unit of a partition, and how long buckets are retained after their end. rollups/intervals.py and
-- rollups/partitions.py declare the same.
CREATE FUNCTION rollup_retention() RETURNS TABLE (granularity text, unit text, retention interval)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, public, pg_temp AS $$
VALUES ('5m', 'day', interval '14 days'), ('1h', 'month', interval '184 days'), ('1d', 'year', interval '731 days')
$$;

-- Creates the partitions of all rollups of a granularity from `first` to `last`, and drops earlier ones, except those
-- that must be retained by the database's own clock. `unit` is what a partition holds: a day, month or year. Returns
-- the number of partitions dropped.
CREATE FUNCTION ensure_rollup_partitions(granularity text, unit text, first timestamptz, last timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    parent text;
    name text;
    start timestamptz;
    retained_from timestamptz;
    width interval;
    dropped int := 0;
BEGIN
    -- Two days more than the retention: a bucket starts earlier by its own width and the time zone.
    SELECT least(first, now() - t.retention - interval '2 days'), format('1 %s', t.unit)::interval
    INTO retained_from, width
    FROM rollup_retention() AS t
    WHERE t.granularity = ensure_rollup_partitions.granularity AND t.unit = ensure_rollup_partitions.unit;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'rollups by % have no partitions by %', granularity, unit;
    END IF;
    IF first IS NULL OR last IS NULL OR first > last OR first < '2000-01-01' OR last >= '2200-01-01'
        OR first + 200 * width < last
    THEN
        RAISE EXCEPTION 'range % to % of partitions is invalid: within 2000 to 2199, at most 200 partitions',
            first, last;
    END IF;
    FOR parent IN
        SELECT c.relname
        FROM pg_class AS c
        JOIN pg_inherits AS i ON i.inhrelid = c.oid
        JOIN pg_class AS p ON p.oid = i.inhparent
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'p'
          AND p.relnamespace = c.relnamespace AND p.relname LIKE '%\_rollups'
          AND c.relname = p.relname || '_' || granularity
        ORDER BY c.relname
    LOOP
        start := date_trunc(unit, first);
        WHILE start <= last LOOP
            name := format('%s_%s', parent, to_char(start, 'YYYYMMDD'));
            PERFORM create_partition(parent, name, start::text, (start + width)::text);
            start := start + width;
        END LOOP;
        name := format('%s_%s', parent, to_char(date_trunc(unit, retained_from), 'YYYYMMDD'));
        dropped := dropped + drop_partitions_before(parent, name);
    END LOOP;
    RETURN dropped;
END
$$;

-- Analyzes the tables that have grown to twice their size since they were last analyzed, because a bulk load does not
-- wait for autovacuum and plans made for few rows are slow for many. Returns the number of tables analyzed.
CREATE FUNCTION analyze_grown_tables() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    grown_table regclass;
    analyzed int := 0;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('regulars.statistics')) THEN
        RETURN 0;
    END IF;
    FOR grown_table IN
        SELECT c.oid
        FROM pg_class AS c
        WHERE c.relnamespace = 'public'::regnamespace
          AND c.relkind = 'r'
          AND NOT c.relispartition
          -- By its size: the counters of the statistics system lag behind by up to a second.
          AND pg_relation_size(c.oid) > greatest(2 * c.relpages, 10) * current_setting('block_size')::bigint
        ORDER BY c.oid
    LOOP
        EXECUTE format('ANALYZE %s', grown_table);
        analyzed := analyzed + 1;
    END LOOP;
    RETURN analyzed;
END
$$;

-- Resets the watermarks of member rollups that are above all transaction ids: a restored database may assign lower ids
-- than the one that was backed up, and changes below a watermark are skipped. Returns the number of watermarks reset.
CREATE FUNCTION reset_compaction_state() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    community int;
    changed int;
    repaired int := 0;
BEGIN
    FOR community IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', community::text, true);
        UPDATE compaction_state
        SET watermark = '0'
        WHERE community_id = community AND watermark > pg_snapshot_xmax(pg_current_snapshot());
        GET DIAGNOSTICS changed = ROW_COUNT;
        UPDATE snapshot_state
        SET watermark = '0'
        WHERE community_id = community AND watermark > pg_snapshot_xmax(pg_current_snapshot());
        repaired := repaired + changed;
    END LOOP;
    RETURN repaired;
END
$$;

-- Does the same for purchases, whose rollups are rebuilt. Returns the number of communities concerned.
CREATE FUNCTION reset_purchase_compaction() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    community int;
    repaired int := 0;
BEGIN
    FOR community IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', community::text, true);
        CONTINUE WHEN NOT EXISTS (
            SELECT FROM purchases
            WHERE community_id = community AND recorded_xid > pg_snapshot_xmax(pg_current_snapshot())
        ) AND NOT EXISTS (
            SELECT FROM purchase_compaction_state
            WHERE community_id = community AND watermark > pg_snapshot_xmax(pg_current_snapshot())
        );
        DELETE FROM purchase_rollups WHERE community_id = community;
        DELETE FROM member_bitmaps WHERE community_id = community AND metric_family = 'purchases';
        DELETE FROM purchase_versions WHERE community_id = community;
        DELETE FROM purchase_compaction_state WHERE community_id = community;
        UPDATE purchases
        SET recorded_xid = '0'
        WHERE community_id = community AND recorded_xid > pg_snapshot_xmax(pg_current_snapshot());
        repaired := repaired + 1;
    END LOOP;
    RETURN repaired;
END
$$;
