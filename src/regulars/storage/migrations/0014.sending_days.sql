-- On which days something happened to the dispatches of sendings, and on which days before: so the different dispatches
-- of a range are counted by its days, not by its events.
-- depends: 0013.lookups

CREATE FUNCTION utc_day(at timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CAST(at AT TIME ZONE 'UTC' AS date)
$$;

-- The days on which something happened to a dispatch, in their order: 1024 times the days since 2000, and the bit
-- 1 << code of each event of that day; bit 1 stands for any.
ALTER TABLE sending_dispatches ADD COLUMN days int[] NOT NULL DEFAULT '{}';

-- Events of a sending by day, each kind apart, and as 0 all of them: and by the day of the event before it of the same
-- kind and dispatch (-infinity: there is none). An event that is the first of a range in its dispatch is one whose
-- `previous` lies before the range.
CREATE TABLE sending_days (
    sending_id    bigint NOT NULL,
    n             bigint NOT NULL,
    community_id  int NOT NULL,
    day           date NOT NULL,
    previous      date NOT NULL,
    event         smallint NOT NULL,
    PRIMARY KEY (community_id, sending_id, event, day, previous)
) WITH (fillfactor = 80);

-- What has come already, community by community: rows are seen by none but their own, whoever owns the tables.
DO $$
DECLARE
    each int;
BEGIN
    FOR each IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', each::text, true);
        UPDATE sending_dispatches AS kept
        SET days = told.days
        FROM (
            SELECT dispatch_id, array_agg((day - date '2000-01-01') * 1024 + bits ORDER BY day) AS days
            FROM (
                SELECT dispatch_id, utc_day(at) AS day, bit_or(1 << event) | 1 AS bits
                FROM sending_events
                WHERE community_id = each
                GROUP BY dispatch_id, utc_day(at)
            ) AS of_days
            GROUP BY dispatch_id
        ) AS told
        WHERE kept.community_id = each AND kept.id = told.dispatch_id;

        INSERT INTO sending_days (sending_id, n, community_id, day, previous, event)
        SELECT sending_id, count(*), each, day, previous, event
        FROM (
            SELECT
                e.sending_id, kind.event, utc_day(e.at) AS day,
                coalesce(
                    lag(utc_day(e.at)) OVER (PARTITION BY e.dispatch_id, kind.event ORDER BY e.at), '-infinity'
                ) AS previous
            FROM sending_events AS e
            CROSS JOIN LATERAL (VALUES (e.event), (CAST(0 AS smallint))) AS kind (event)
            WHERE e.community_id = each
        ) AS by_day
        GROUP BY sending_id, day, previous, event;
    END LOOP;
END
$$;
