-- Transactions and values as they are, in {parts} parts each by a hash of (community, profile). An index can be unique
-- only together with what it is split by, so that the key of a transaction and its external id are so within a profile.
ALTER TABLE transactions RENAME TO whole_transactions;
ALTER TABLE profile_aggregations RENAME TO whole_profile_aggregations;
CREATE TABLE transactions (LIKE whole_transactions INCLUDING DEFAULTS) PARTITION BY HASH (community_id, profile_id);
CREATE TABLE profile_aggregations (LIKE whole_profile_aggregations INCLUDING DEFAULTS) PARTITION BY HASH (community_id, profile_id);
DO $split$
BEGIN
    FOR n IN 0 .. {parts} - 1 LOOP
        EXECUTE format(
            'CREATE TABLE transactions_%s PARTITION OF transactions FOR VALUES WITH (MODULUS {parts}, REMAINDER %s)', n, n
        );
        EXECUTE format(
            'CREATE TABLE profile_aggregations_%s PARTITION OF profile_aggregations FOR VALUES WITH (MODULUS {parts}, REMAINDER %s) '
            'WITH (fillfactor = 85)', n, n
        );
    END LOOP;
    EXECUTE format('COMMENT ON TABLE profile_aggregations IS %L', obj_description('whole_profile_aggregations'::regclass));
END
$split$;
INSERT INTO transactions SELECT * FROM whole_transactions;
INSERT INTO profile_aggregations SELECT * FROM whole_profile_aggregations;
DROP TABLE whole_transactions, whole_profile_aggregations;

CREATE UNIQUE INDEX transactions_pkey ON transactions (community_id, id, profile_id);
CREATE UNIQUE INDEX transactions_by_external_id ON transactions (community_id, external_id, profile_id);
CREATE INDEX transactions_unassigned ON transactions (community_id, receipt_ref) WHERE profile_id IS NULL;
CREATE INDEX transactions_history ON transactions (community_id, profile_id, transacted_at, id)
    INCLUDE (external_id, amount, direction, transacted_on, channels, location_id,
             discount, list_value, item_product_ids, item_brands, items_overflow)
    WHERE NOT is_void AND profile_id IS NOT NULL;
CREATE INDEX transactions_void ON transactions (community_id, profile_id) WHERE is_void AND profile_id IS NOT NULL;
ALTER TABLE profile_aggregations ADD PRIMARY KEY (community_id, profile_id);
CREATE INDEX profile_aggregations_due ON profile_aggregations (community_id, next_change_at) WHERE next_change_at IS NOT NULL;
CREATE INDEX profile_aggregations_by_version ON profile_aggregations (community_id, values_version);
