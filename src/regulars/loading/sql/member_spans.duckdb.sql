-- Computes in which snapshots members are to be counted, by dimensions, and the deltas to their present counts. Input:
-- `states` (the dimensions of members over time), `events` (joins and leaves), `counted` (the snapshots in which
-- members are counted now), `days` (when each local day begins), `age_groups` (`age`, and its bounds in years, null for
-- none), and the variable `last` (the time of the last snapshot). A null `valid_from` is open to the past, a null
-- `valid_to` to the future.
CREATE TEMP MACRO next_snapshot(instant) AS
    -- The start of the next quarter of an hour, or the instant itself. The offset keeps the dividend positive, because
    -- integer division truncates towards zero.
    make_timestamp((epoch_us(instant) + 90000000900000000 - 1) // 900000000 * 900000000 - 90000000000000000);

CREATE TEMP MACRO birthday_at(birth_date, years) AS
    make_date(birth_date // 10000 + years, birth_date // 100 % 100, 1) + CAST(birth_date % 100 - 1 AS INTEGER);

-- A number for the dimensions of a member. Texts of PostgreSQL can't contain the separator.
CREATE TEMP MACRO dimensions_key_of(a, b, c, d, e, f, g, h) AS md5_number(concat_ws(
    chr(0), coalesce('=' || a, ''), coalesce('=' || b, ''), coalesce('=' || c, ''), coalesce('=' || d, ''),
    coalesce('=' || e, ''), coalesce('=' || f, ''), coalesce('=' || g, ''), coalesce('=' || h, '')
));

CREATE TEMP TABLE member_spans AS
WITH membership_spans AS (
    SELECT
        profile_id, type, instant,
        lead(instant, 1, TIMESTAMP '9999-01-01')
            OVER (PARTITION BY profile_id ORDER BY instant, membership_id) AS valid_to
    FROM events
),
member_states AS (
    SELECT
        states.* EXCLUDE (valid_from, valid_to),
        greatest(membership_spans.instant, states.valid_from) AS valid_from,
        least(membership_spans.valid_to, coalesce(states.valid_to, TIMESTAMP '9999-01-01')) AS valid_to
    FROM membership_spans
    JOIN states USING (profile_id)
    WHERE membership_spans.type = 'in'
),
-- Spans between the birthdays at which the age group changes. A member born on 29 February ages on 1 March.
birthdays AS (
    SELECT
        member_states.* EXCLUDE (valid_from, valid_to), age,
        member_states.valid_from AS member_valid_from, member_states.valid_to AS member_valid_to,
        birthday_at(birth_date, min_age) AS birthday,
        birthday_at(birth_date, next_min_age) AS next_birthday
    FROM member_states
    CROSS JOIN age_groups
    WHERE member_states.valid_from < member_states.valid_to AND birth_date IS NOT NULL
)
SELECT
    birthdays.* EXCLUDE (member_valid_from, member_valid_to, birthday, next_birthday, birth_date),
    greatest(member_valid_from, began.instant) AS valid_from, least(member_valid_to, ended.instant) AS valid_to
FROM birthdays
LEFT JOIN days AS began ON began.day = birthday
LEFT JOIN days AS ended ON ended.day = next_birthday
-- `days` has two days of margin, because local days differ from those of UTC; other birthdays are out of range.
WHERE (birthday IS NULL OR birthday <= least(CAST(member_valid_to AS DATE), CAST(getvariable('last') AS DATE)) + 2)
  AND (next_birthday IS NULL OR next_birthday >= CAST(member_valid_from AS DATE) - 2)
UNION ALL BY NAME
SELECT * EXCLUDE (birth_date), CAST(NULL AS VARCHAR) AS age FROM member_states WHERE birth_date IS NULL;

CREATE TEMP TABLE target_spans AS
SELECT
    * REPLACE (
        next_snapshot(valid_from) AS valid_from,
        -- A span that ends after the last snapshot is still open in it.
        CASE WHEN valid_to <= getvariable('last') THEN next_snapshot(valid_to) END AS valid_to
    ),
    dimensions_key_of(
        optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    ) AS dimensions_key
FROM member_spans
WHERE valid_from < valid_to AND next_snapshot(valid_from) <= getvariable('last')
  AND (valid_to > getvariable('last') OR next_snapshot(valid_from) < next_snapshot(valid_to));

CREATE TEMP TABLE counted_spans AS
SELECT
    *,
    dimensions_key_of(
        optin_channel, optin_subchannel, optin_platform, gender, age, country, consents_true, consents_false
    ) AS dimensions_key
FROM counted;

CREATE TEMP TABLE snapshot_deltas AS
SELECT dimensions_key, instant, sum(delta) AS delta
FROM (
    SELECT dimensions_key, valid_from AS instant, 1 AS delta FROM target_spans
    UNION ALL
    SELECT dimensions_key, valid_to, -1 FROM target_spans WHERE valid_to IS NOT NULL
    UNION ALL
    SELECT dimensions_key, valid_from, -1 FROM counted_spans
    UNION ALL
    SELECT dimensions_key, valid_to, 1 FROM counted_spans WHERE valid_to IS NOT NULL
)
GROUP BY ALL
HAVING sum(delta) <> 0;
