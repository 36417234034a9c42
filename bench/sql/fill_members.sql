-- $1 the community: every profile is a member, of 50 subunits, 300 groups and 200 stores, with five consents.
INSERT INTO members (
    community_id, profile_id, member_id, is_member, optin_channel, optin_subchannel, optin_platform, gender, birth_date,
    subunit_ids, group_ids, favorite_stores, consents_true, consents_false, marketing,
    sms_status, email_status, push_status, country, properties, created_at, updated_at, recorded_xid
)
SELECT community_id, profile_id, member_id, true,
       (ARRAY['ios app', 'android app', 'web', 'pos'])[1 + (chance & 3)], 'store ' || (chance >> 2) % 40,
       (ARRAY['ios', 'android', 'web', 'pos'])[1 + (chance & 3)],
       CASE WHEN chance % 10 < 9 THEN (ARRAY['female', 'male', 'other'])[1 + (chance >> 4) % 3] END,
       CASE WHEN chance % 7 < 6 THEN 19400101 + (chance >> 6) % 70 * 10000 + (chance >> 12) % 12 * 100 END,
       CASE WHEN chance % 4 = 0 THEN '{}' ELSE ARRAY[1 + (chance >> 8) % 50, 51 + (chance >> 16) % 10] END,
       CASE WHEN chance % 3 = 0 THEN '{}' ELSE ARRAY[1 + (chance >> 9) % 300] END,
       CASE WHEN chance % 2 = 0 THEN '{}' ELSE ARRAY[1 + (chance >> 10) % 200] END,
       array_remove(ARRAY[
           CASE WHEN chance & 1 = 0 THEN 'email_marketing' END, CASE WHEN chance & 6 = 0 THEN 'sms_marketing' END,
           CASE WHEN chance & 24 <> 0 THEN 'profiling' END, CASE WHEN chance & 96 = 0 THEN 'third_party' END,
           CASE WHEN chance & 128 = 0 THEN 'push_marketing' END
       ], NULL),
       array_remove(ARRAY[
           CASE WHEN chance & 769 = 1 THEN 'email_marketing' END, CASE WHEN chance & 6 = 6 THEN 'sms_marketing' END
       ], NULL),
       array_remove(ARRAY[
           CASE WHEN chance & 1 = 0 THEN 'email' END, CASE WHEN chance & 6 = 0 THEN 'sms' END,
           CASE WHEN chance & 1 = 0 OR chance & 6 = 0 THEN 'anything' END
       ], NULL),
       (ARRAY['enabled', 'verified', 'unsubscribed', 'disabled'])[1 + (chance >> 5) % 4],
       (ARRAY['enabled', 'verified', 'hard_bounced', 'unsubscribed', 'disabled'])[1 + (chance >> 7) % 5],
       (ARRAY['enabled', 'disabled'])[1 + (chance >> 3) % 2],
       (ARRAY['NO', 'SE', 'DK', 'PL'])[1 + (chance >> 11) % 4],
       jsonb_build_object('language', (ARRAY['no', 'en', 'sv'])[1 + (chance >> 13) % 3], 'tier', (chance >> 15) % 7),
       created_at, updated_at, pg_current_xact_id()
FROM (
    SELECT community_id, profile_id, member_id, created_at, updated_at,
           hashtextextended(profile_id::text, 1) & 9223372036854775807 AS chance
    FROM profiles
    WHERE community_id = $1
    OFFSET 0
) AS input
