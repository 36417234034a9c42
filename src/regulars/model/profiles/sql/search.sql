-- The active profiles that a text describes, each with what matched, best first; $13 of them at most. A profile that was
-- merged leads to the one that it was merged into. All comparisons are leakproof, so row-level security leaves the indexes usable.
-- Parameters: $2 profile id, $3 member id, $4 a code, $5 and $6 the range of e-mail addresses without case, $7 a phone number
-- by E.164, $8 and $9 the range of a word, $10 and $11 that of another one, $12 the beginnings of more words; null where the
-- text has none.
WITH matches AS (
    SELECT 'id' AS matched, 0 AS rank, '' AS word, '' AS other_word,
           CASE WHEN merged_into IS NULL THEN profile_id ELSE merged_into END AS profile_id
    FROM profiles
    WHERE community_id = $1 AND profile_id = $2::uuid
    UNION ALL
    SELECT 'member_id', 0, '', '', CASE WHEN merged_into IS NULL THEN profile_id ELSE merged_into END
    FROM profiles
    WHERE community_id = $1 AND member_id = $3::bigint
    UNION ALL
    SELECT 'external_id', 0, '', '', CASE WHEN merged_into IS NULL THEN profile_id ELSE merged_into END
    FROM profiles
    WHERE community_id = $1 AND external_id = $4::text
    UNION ALL
    (
        SELECT 'email', CASE WHEN email_normalized = lower($5) THEN 0 ELSE 2 END, email_normalized, '', profile_id
        FROM profiles
        WHERE community_id = $1
          AND email_normalized >= lower($5::text) AND email_normalized < lower($6::text)
          AND deleted_at IS NULL
        ORDER BY email_normalized
        LIMIT $13
    )
    UNION ALL
    SELECT 'mobile_phone', 0, '', '', profile_id
    FROM profiles
    WHERE community_id = $1 AND mobile_phone_e164 = $7::text AND deleted_at IS NULL
    UNION ALL
    SELECT 'mobile_phone', 0, '', '', profile_id
    FROM profiles
    WHERE community_id = $1 AND mobile_phone = $4 AND deleted_at IS NULL
    UNION ALL
    (
        SELECT 'identity', 0, '', '', profile_id
        FROM identities
        WHERE community_id = $1 AND identifier = $4
        LIMIT $13
    )
    UNION ALL
    SELECT 'receipt', 0, '', '', profile_id
    FROM transactions
    WHERE community_id = $1 AND external_id = $4 AND profile_id IS NOT NULL
    UNION ALL
    (
        SELECT 'receipt', 0, '', '', profile_id
        FROM transactions
        WHERE community_id = $1 AND receipt_ref = $4 AND profile_id IS NOT NULL
        ORDER BY transacted_at DESC
        LIMIT $13
    )
    UNION ALL
    (
        -- A name of six words has at most twenty pairs that match, so these are enough profiles.
        SELECT 'name', 1, pair.word, pair.other_word, pair.profile_id
        FROM profile_name_words AS pair
        WHERE pair.community_id = $1
          AND pair.word >= $8::text AND pair.word < $9::text
          AND pair.other_word >= $10::text AND pair.other_word < $11::text
          AND NOT EXISTS (
              SELECT
              FROM unnest($12::text[]) AS more (beginning)
              WHERE NOT EXISTS (
                  SELECT
                  FROM profile_name_words AS third
                  WHERE third.community_id = $1 AND third.profile_id = pair.profile_id
                    AND third.word <> pair.word AND third.word <> pair.other_word
                    AND starts_with(third.word, more.beginning)
              )
          )
        ORDER BY pair.word, pair.other_word, pair.profile_id
        LIMIT $13 * 20
    )
)
SELECT ranked.profile_id, ranked.matched
FROM (
    SELECT profile_id, array_agg(DISTINCT matched) AS matched, min(rank) AS rank, min(word) AS word, min(other_word) AS other_word
    FROM matches
    WHERE profile_id IS NOT NULL
    GROUP BY profile_id
    -- Sorted before the join, which then ends with the last profile that is needed.
    ORDER BY min(rank), min(word), min(other_word), profile_id
) AS ranked
JOIN profiles ON profiles.community_id = $1 AND profiles.profile_id = ranked.profile_id AND profiles.deleted_at IS NULL
ORDER BY ranked.rank, ranked.word, ranked.other_word, ranked.profile_id
LIMIT $13
