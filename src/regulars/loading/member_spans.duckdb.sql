-- For which snapshots members count as what, and what that changes: of `states` (as what each stood, since when and
-- until when), `events` (who came in and went), `counted` (the snapshots that they are counted in), `days` (when each
-- day begins in the community's zone), `age_groups` (`age`, and from and to which age in years, null without limit) and
-- the variable `last`, when the last snapshot was. Where `since` is null it is ever since, where `until` is null it is
-- still so.
CREATE TEMP MACRO snapshot_from(instant) AS
    -- The first quarter of an hour that does not begin before it; counted from long ago, for division cuts towards 0.
    make_timestamp((epoch_us(instant) + 90000000900000000 - 1) // 900000000 * 900000000 - 90000000000000000);

CREATE TEMP MACRO turns(birth_date, years) AS
    make_date(birth_date // 10000 + years, birth_date // 100 % 100, 1) + CAST(birth_date % 100 - 1 AS INTEGER);

-- One number for all that those who are counted alike share; no text of the database's holds a zero.
CREATE TEMP MACRO kind_of(a, b, c, d, e, f, g, h) AS md5_number(concat_ws(
    chr(0), coalesce('=' || a, ''), coalesce('=' || b, ''), coalesce('=' || c, ''), coalesce('=' || d, ''),
    coalesce('=' || e, ''), coalesce('=' || f, ''), coalesce('=' || g, ''), coalesce('=' || h, '')
));

CREATE TEMP TABLE aged AS
WITH spans AS (
    SELECT
        profile_id, type, instant,
        lead(instant, 1, TIMESTAMP '9999-01-01') OVER (PARTITION BY profile_id ORDER BY instant, membership_id) AS until
    FROM events
),
stood AS (
    SELECT
        states.* EXCLUDE (since, until),
        greatest(spans.instant, states.since) AS since,
        least(spans.until, coalesce(states.until, TIMESTAMP '9999-01-01')) AS until
    FROM spans
    JOIN states USING (profile_id)
    WHERE spans.type = 'in'
),
-- From birthday to birthday at which another age group begins; 29 February turns on 1 March.
birthdays AS (
    SELECT
        stood.* EXCLUDE (since, until), stood.since AS stood_since, stood.until AS stood_until, age,
        turns(birth_date, min_age) AS turned,
        turns(birth_date, next_min_age) AS turns_next
    FROM stood
    CROSS JOIN age_groups
    WHERE stood.since < stood.until AND birth_date IS NOT NULL
)
SELECT
    birthdays.* EXCLUDE (stood_since, stood_until, turned, turns_next, birth_date),
    greatest(stood_since, began.instant) AS since, least(stood_until, ended.instant) AS until
FROM birthdays
LEFT JOIN days AS began ON began.day = turned
LEFT JOIN days AS ended ON ended.day = turns_next
-- Days of any zone are within two of those of UTC; what is left out is before or after the time in question.
WHERE (turned IS NULL OR turned <= least(CAST(stood_until AS DATE), CAST(getvariable('last') AS DATE)) + 2)
  AND (turns_next IS NULL OR turns_next >= CAST(stood_since AS DATE) - 2)
UNION ALL BY NAME
SELECT * EXCLUDE (birth_date), CAST(NULL AS VARCHAR) AS age FROM stood WHERE birth_date IS NULL;

CREATE TEMP TABLE wanted AS
SELECT
    * REPLACE (
        snapshot_from(since) AS since,
        -- The last snapshot knows nothing of what comes after it.
        CASE WHEN until <= getvariable('last') THEN snapshot_from(until) END AS until
    ),
    kind_of(
        optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    ) AS kind
FROM aged
WHERE since < until AND snapshot_from(since) <= getvariable('last')
  AND (until > getvariable('last') OR snapshot_from(since) < snapshot_from(until));

CREATE TEMP TABLE left_behind AS
SELECT
    *,
    kind_of(
        optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    ) AS kind
FROM counted;

CREATE TEMP TABLE snapshot_edges AS
SELECT kind, instant, sum(n) AS n
FROM (
    SELECT kind, since AS instant, 1 AS n FROM wanted
    UNION ALL
    SELECT kind, until, -1 FROM wanted WHERE until IS NOT NULL
    UNION ALL
    SELECT kind, since, -1 FROM left_behind
    UNION ALL
    SELECT kind, until, 1 FROM left_behind WHERE until IS NOT NULL
)
GROUP BY ALL
HAVING sum(n) <> 0;
