-- Functions of instants and buckets of local time.

-- An instant in ISO 8601, in UTC.
CREATE FUNCTION iso8601_utc(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- The UTC date of an instant.
CREATE FUNCTION utc_day(at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CAST(at AT TIME ZONE 'UTC' AS date)
$$;

-- The unit of date_trunc for a granularity.
CREATE FUNCTION calendar_unit(granularity text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE granularity
    WHEN '1h' THEN 'hour' WHEN '1d' THEN 'day' WHEN '1w' THEN 'week' WHEN '1mo' THEN 'month' ELSE granularity
END
$$;

-- The UTC offset of a time zone at an instant.
CREATE FUNCTION utc_offset(at timestamptz, zone text) RETURNS interval
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT at AT TIME ZONE zone - at AT TIME ZONE 'UTC'
$$;

-- As bucket_start, for instants close to a change of the zone's UTC offset.
CREATE FUNCTION bucket_start_near_transition(at timestamptz, granularity text, zone text) RETURNS timestamptz
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE AS $$
DECLARE
    clock timestamp := at AT TIME ZONE zone;
    start timestamp := CASE granularity
        WHEN '5m' THEN date_bin('5 minutes', clock, '2000-01-01')
        ELSE date_trunc(calendar_unit(granularity), clock)
    END;
    about timestamptz := start AT TIME ZONE zone;
    -- Of two instants between which the clocks are changed.
    before timestamptz;
    after timestamptz;
    middle timestamptz;
BEGIN
    IF granularity IN ('5m', '1h') THEN
        before := at - (clock - start);
        after := date_trunc('second', at);
    ELSE
        -- The wall time at which it begins, by the offset before a change and by the one after it.
        before := (start - utc_offset(about - interval '26 hours', zone)) AT TIME ZONE 'UTC';
        after := (start - utc_offset(about + interval '26 hours', zone)) AT TIME ZONE 'UTC';
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
        IF utc_offset(middle, zone) = utc_offset(after, zone) THEN
            after := middle;
        ELSE
            before := middle;
        END IF;
    END LOOP;
    RETURN after;
END
$$;

-- The start of the local bucket that contains an instant. Granularities are 5m, 1h (same local hour and same offset),
-- 1d, 1w (from Monday) and 1mo (same local date, week or month). Near a change of the zone's offset the start is
-- searched for, elsewhere it is computed. query/local_buckets.py does the same in Python.
--
-- Declared STABLE although time zone rules only change with the server's data: arithmetic on timestamptz is STABLE, and
-- a function that claims to be IMMUTABLE would not be inlined.
CREATE FUNCTION bucket_start(at timestamptz, granularity text, zone text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN granularity = '5m' THEN CASE
        WHEN (at - interval '5 minutes') AT TIME ZONE zone = at AT TIME ZONE zone - interval '5 minutes'
        THEN date_bin('5 minutes', at, date_trunc('hour', at, zone))
        ELSE bucket_start_near_transition(at, granularity, zone)
    END
    WHEN granularity = '1h' THEN CASE
        WHEN (at - interval '1 hour') AT TIME ZONE zone = at AT TIME ZONE zone - interval '1 hour'
        THEN date_trunc('hour', at, zone)
        ELSE bucket_start_near_transition(at, granularity, zone)
    END
    -- Clocks are moved by 24 hours at most, and no zone's were ever moved twice within 76 hours. Those that are put
    -- back soon after `at` may repeat the midnight before it.
    WHEN granularity = '1d' THEN CASE
        WHEN (at - interval '50 hours') AT TIME ZONE zone
            = (at + interval '26 hours') AT TIME ZONE zone - interval '76 hours'
        THEN date_trunc('day', at, zone)
        ELSE bucket_start_near_transition(at, granularity, zone)
    END
    WHEN (date_trunc(calendar_unit(granularity), at, zone) - interval '26 hours') AT TIME ZONE zone
        = date_trunc(calendar_unit(granularity), at, zone) AT TIME ZONE zone - interval '26 hours'
    THEN date_trunc(calendar_unit(granularity), at, zone)
    ELSE bucket_start_near_transition(at, granularity, zone)
END
$$;

-- The local days or months (by granularity) that lie completely between two instants.
CREATE FUNCTION complete_buckets(granularity text, since timestamptz, until timestamptz, zone text)
RETURNS TABLE (bucket timestamptz, ends timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
SELECT start, next
FROM (
    SELECT start, lead(start) OVER (ORDER BY start) AS next
    FROM (
        -- Noon is on that day in every zone, but for days that were skipped.
        SELECT DISTINCT bucket_start((day + interval '12 hours') AT TIME ZONE zone, granularity, zone) AS start
        FROM generate_series(
            date_trunc(calendar_unit(granularity), since AT TIME ZONE zone),
            (until AT TIME ZONE zone) + CAST('1 ' || calendar_unit(granularity) AS interval),
            CAST('1 ' || calendar_unit(granularity) AS interval)
        ) AS day
    ) AS starts
) AS buckets
WHERE start >= since AND next <= until
$$;
