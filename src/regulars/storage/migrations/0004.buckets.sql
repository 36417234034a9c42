-- In which bucket of local time an instant is.
-- depends: 0003.derived

CREATE FUNCTION calendar_unit(step text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE step WHEN '1h' THEN 'hour' WHEN '1d' THEN 'day' WHEN '1w' THEN 'week' WHEN '1mo' THEN 'month' ELSE step END
$$;

CREATE FUNCTION clock_offset(at timestamptz, zone text) RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT at AT TIME ZONE zone - at AT TIME ZONE 'UTC'
$$;

CREATE FUNCTION bucket_start_near_change(at timestamptz, step text, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    clock timestamp := at AT TIME ZONE zone;
    start timestamp := CASE step
        WHEN '5m' THEN date_bin('5 minutes', clock, '2000-01-01')
        ELSE date_trunc(calendar_unit(step), clock)
    END;
    about timestamptz := start AT TIME ZONE zone;
    -- Of two instants between which the clocks are changed.
    before timestamptz;
    after timestamptz;
    middle timestamptz;
BEGIN
    IF step IN ('5m', '1h') THEN
        before := at - (clock - start);
        after := date_trunc('second', at);
    ELSE
        -- The wall time at which it begins, by the offset before a change and by the one after it.
        before := (start - clock_offset(about - interval '26 hours', zone)) AT TIME ZONE 'UTC';
        after := (start - clock_offset(about + interval '26 hours', zone)) AT TIME ZONE 'UTC';
        IF before > after THEN
            middle := before;
            before := after;
            after := middle;
        END IF;
    END IF;
    IF before AT TIME ZONE zone = start THEN
        RETURN before;
    END IF;
    IF after AT TIME ZONE zone = start THEN
        RETURN after;
    END IF;
    -- The bucket begins when the clocks are changed. They are at a whole second.
    WHILE after - before > interval '1 second' LOOP
        middle := date_trunc('second', before + (after - before) / 2);
        IF clock_offset(middle, zone) = clock_offset(after, zone) THEN
            after := middle;
        ELSE
            before := middle;
        END IF;
    END LOOP;
    RETURN after;
END
$$;

-- The first instant of the local bucket that holds `at`. Steps are 5m, 1h (what shares the local clock's prefix and
-- the offset), 1d, 1w (of Monday) and 1mo (what shares the local date, week or month). Near a moment at which the
-- clocks of the zone are changed it is found, elsewhere it is arithmetic. The same in Python is query/intervals.py.
--
-- STABLE, though the rules of a zone change only with the server's data, for arithmetic with timestamptz is no more
-- than that, and what claims more is not inlined.
CREATE FUNCTION bucket_start(at timestamptz, step text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN step = '5m' THEN CASE
        WHEN (at - interval '5 minutes') AT TIME ZONE zone = at AT TIME ZONE zone - interval '5 minutes'
        THEN date_bin('5 minutes', at, date_trunc('hour', at, zone))
        ELSE bucket_start_near_change(at, step, zone)
    END
    WHEN step = '1h' THEN CASE
        WHEN (at - interval '1 hour') AT TIME ZONE zone = at AT TIME ZONE zone - interval '1 hour'
        THEN date_trunc('hour', at, zone)
        ELSE bucket_start_near_change(at, step, zone)
    END
    -- Clocks are moved by 24 hours at most, and no zone's were ever moved twice within 76 hours. Those that are put
    -- back soon after `at` may repeat the midnight before it.
    WHEN step = '1d' THEN CASE
        WHEN (at - interval '50 hours') AT TIME ZONE zone
            = (at + interval '26 hours') AT TIME ZONE zone - interval '76 hours'
        THEN date_trunc('day', at, zone)
        ELSE bucket_start_near_change(at, step, zone)
    END
    WHEN (date_trunc(calendar_unit(step), at, zone) - interval '26 hours') AT TIME ZONE zone
        = date_trunc(calendar_unit(step), at, zone) AT TIME ZONE zone - interval '26 hours'
    THEN date_trunc(calendar_unit(step), at, zone)
    ELSE bucket_start_near_change(at, step, zone)
END
$$;
