-- Reasons of rejected rows are stored without the values that they quote. Those that may quote one are removed.

-- The owner is subject to row-level security as well; it is forced again after the migration.
ALTER TABLE idempotency_keys NO FORCE ROW LEVEL SECURITY;
ALTER TABLE import_batches NO FORCE ROW LEVEL SECURITY;

-- An empty array marked a response that quotes rejected rows.
UPDATE idempotency_keys
SET status = NULL, response_body = NULL, profile_id = NULL, profile_ids = NULL, transaction_id = NULL
WHERE profile_ids = '{}';

-- Values of the row were replaced, but not keys of objects, and not values that were stored in another form.
UPDATE import_batches
SET rejected = (
    SELECT
        jsonb_agg(
            CASE WHEN rejection.entry::text ~ $$there is no |There is no |merged into|, not |'|\\"$$
                THEN jsonb_build_object(
                    'index', rejection.entry -> 'index',
                    'message', 'The reason was removed.',
                    'errors', '{}'::jsonb
                )
                ELSE rejection.entry
            END
            ORDER BY rejection.number
        )
    FROM jsonb_array_elements(rejected) WITH ORDINALITY AS rejection (entry, number)
)
WHERE rejected <> '[]';
