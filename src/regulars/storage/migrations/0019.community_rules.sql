-- Rules of a community about statuses: of orders that are void, and of members by what providers report.

ALTER TABLE communities
    ADD COLUMN void_statuses            text[] NOT NULL DEFAULT '{cancelled,canceled,voided,failed}',
    ADD COLUMN has_new_void_statuses    boolean NOT NULL DEFAULT true,
    ADD COLUMN updates_channel_statuses boolean NOT NULL DEFAULT true;

COMMENT ON COLUMN communities.void_statuses IS 'Statuses of transactions that are void, in lower case.';
COMMENT ON COLUMN communities.has_new_void_statuses IS
    'Whether stored transactions are still to be voided or restored by void_statuses.';
COMMENT ON COLUMN communities.updates_channel_statuses IS
    'Whether an unsubscribe, a complaint or a hard bounce that a provider reports sets the status of the member.';

-- Only the transactions of communities that exist already may have such a status.
ALTER TABLE communities ALTER COLUMN has_new_void_statuses SET DEFAULT false;
