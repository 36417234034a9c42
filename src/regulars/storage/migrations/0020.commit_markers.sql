-- Each commit writes one row of its own, which proves it after its connection was lost. A transaction id proves nothing:
-- after a crash the server gives an id that was not durable to another transaction.
-- depends: 0017.provider_tokens

CREATE TABLE commit_markers (
    community_id int NOT NULL,
    day          date NOT NULL,
    id           uuid NOT NULL,
    PRIMARY KEY (community_id, day, id)
) PARTITION BY RANGE (day);

CREATE OR REPLACE FUNCTION keep_partition(parent text, first_day date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text := format('%s_%s', parent, to_char(first_day, 'YYYYMMDD'));
BEGIN
    IF parent NOT IN ('outbox', 'idempotency_keys', 'commit_markers') THEN
        RAISE EXCEPTION 'no partitioned feed is called %', parent;
    END IF;
    IF to_regclass(name) IS NOT NULL THEN
        RETURN false;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
    -- Read from the table: to_regclass remembers that there was none before the lock.
    IF EXISTS (SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relname = name) THEN
        RETURN false;
    END IF;
    EXECUTE format(
        'CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
        name, parent, first_day, first_day + 1
    );
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', name);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', name);
    RETURN true;
END
$$;

CREATE OR REPLACE FUNCTION drop_partitions(parent text, before_day date) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    name text;
    dropped int := 0;
BEGIN
    IF parent NOT IN ('outbox', 'idempotency_keys', 'commit_markers') THEN
        RAISE EXCEPTION 'no partitioned feed is called %', parent;
    END IF;
    -- Before the partitions are listed, so that no other process drops one meanwhile.
    PERFORM pg_advisory_xact_lock(hashtext('regulars.partitions'));
    FOR name IN
        SELECT c.relname
        FROM pg_inherits AS i
        JOIN pg_class AS c ON c.oid = i.inhrelid
        WHERE i.inhparent = parent::regclass
          AND c.relname < format('%s_%s', parent, to_char(before_day, 'YYYYMMDD'))
        ORDER BY c.relname
    LOOP
        EXECUTE format('DROP TABLE %I', name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END
$$;
