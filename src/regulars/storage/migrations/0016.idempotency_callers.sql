-- An idempotency key is one caller's own and stored as a digest; a stored response says whom it concerns, so that it
-- can be blanked once they are erased.
-- depends: 0014.sending_days

-- USING instead of UPDATE: row-level security hides the rows from an owner that is no superuser.
ALTER TABLE idempotency_keys
    ALTER COLUMN key TYPE bytea USING sha256(convert_to('community' || E'\n' || key, 'UTF8')),
    ADD COLUMN profile_id text,
    ADD COLUMN profile_ids uuid[],
    ADD COLUMN transaction_id text;

ALTER TABLE idempotency_keys
    ALTER COLUMN profile_id TYPE uuid USING (
        regexp_match(convert_from(answer, 'UTF8'), '"profile_id":"([0-9a-f-]{36})"')
    )[1]::uuid,
    ALTER COLUMN profile_ids TYPE uuid[] USING CASE
        WHEN convert_from(answer, 'UTF8') ~ '^{"data":{"id":"[0-9a-f-]{36}"'
        THEN ARRAY[(regexp_match(convert_from(answer, 'UTF8'), '"id":"([0-9a-f-]{36})"'))[1]::uuid]
    END,
    ALTER COLUMN transaction_id TYPE bigint USING (
        regexp_match(convert_from(answer, 'UTF8'), '^{"data":{(?:.*"transaction_id":|"id":)(\d{1,18})[,}]')
    )[1]::bigint;

COMMENT ON COLUMN idempotency_keys.profile_id IS 'The profile that the response concerns, where it is one.';
COMMENT ON COLUMN idempotency_keys.profile_ids IS 'The profiles that the response concerns, where they are several.';
COMMENT ON COLUMN idempotency_keys.transaction_id IS
    'The transaction that the response shows: it may come to belong to a profile later.';
COMMENT ON COLUMN idempotency_keys.answer IS 'Null once a profile that it concerns was erased.';

CREATE INDEX idempotency_keys_by_profile ON idempotency_keys (community_id, profile_id)
    WHERE profile_id IS NOT NULL;
CREATE INDEX idempotency_keys_by_transaction ON idempotency_keys (community_id, transaction_id)
    WHERE transaction_id IS NOT NULL;
-- Overlap of arrays is not leakproof, so row-level security takes such an index away; these rows are few.
CREATE INDEX idempotency_keys_of_several ON idempotency_keys (community_id) WHERE profile_ids IS NOT NULL;
