-- $1 the community: every profile is a member, of 50 subunits, 300 groups and 200 stores, with five consents.
INSERT INTO members (
    community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
    subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing,
    sms_status, email_status, push_status, country, properties, created_at, updated_at, recorded_xid
)
SELECT community_id, profile_id, member_id, true,
       (ARRAY['ios app', 'android app', 'web', 'pos'])[1 + (hash & 3)], 'store ' || (hash >> 2) % 40,
       (ARRAY['ios', 'android', 'web', 'pos'])[1 + (hash & 3)],
       CASE WHEN hash % 10 < 9 THEN (ARRAY['female', 'male', 'other'])[1 + (hash >> 4) % 3] END,
       CASE WHEN hash % 7 < 6 THEN 19400101 + (hash >> 6) % 70 * 10000 + (hash >> 12) % 12 * 100 END,
       CASE WHEN hash % 4 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 8) % 50, 51 + (hash >> 16) % 10] END,
       CASE WHEN hash % 3 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 9) % 300] END,
       CASE WHEN hash % 2 = 0 THEN '{}' ELSE ARRAY[1 + (hash >> 10) % 200] END,
       array_remove(ARRAY[
           CASE WHEN hash & 1 = 0 THEN 'email_marketing' END, CASE WHEN hash & 6 = 0 THEN 'sms_marketing' END,
           CASE WHEN hash & 24 <> 0 THEN 'profiling' END, CASE WHEN hash & 96 = 0 THEN 'third_party' END,
           CASE WHEN hash & 128 = 0 THEN 'push_marketing' END
       ], NULL),
       array_remove(ARRAY[
           CASE WHEN hash & 769 = 1 THEN 'email_marketing' END, CASE WHEN hash & 6 = 6 THEN 'sms_marketing' END
       ], NULL),
       array_remove(ARRAY[
           CASE WHEN hash & 1 = 0 THEN 'email' END, CASE WHEN hash & 6 = 0 THEN 'sms' END,
           CASE WHEN hash & 1 = 0 OR hash & 6 = 0 THEN 'anything' END
       ], NULL),
       (ARRAY['enabled', 'verified', 'unsubscribed', 'disabled'])[1 + (hash >> 5) % 4],
       (ARRAY['enabled', 'verified', 'hard_bounced', 'unsubscribed', 'disabled'])[1 + (hash >> 7) % 5],
       (ARRAY['enabled', 'disabled'])[1 + (hash >> 3) % 2],
       (ARRAY['NO', 'SE', 'DK', 'PL'])[1 + (hash >> 11) % 4],
       jsonb_build_object('language', (ARRAY['no', 'en', 'sv'])[1 + (hash >> 13) % 3], 'tier', (hash >> 15) % 7),
       created_at, updated_at, pg_current_xact_id()
FROM (
    SELECT community_id, profile_id, member_id, created_at, updated_at,
           hashtextextended(profile_id::text, 1) & 9223372036854775807 AS hash
    FROM profiles
    WHERE community_id = $1
    OFFSET 0
) AS input
