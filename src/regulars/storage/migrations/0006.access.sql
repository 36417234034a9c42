-- What an organization set for its reports, and how much of its limits is left.
-- depends: 0003.derived

-- Null is the server's own setting; without a smallest cell every count is shown.
ALTER TABLE organizations
    ADD COLUMN smallest_cell       int CHECK (smallest_cell BETWEEN 1 AND 1000000),
    ADD COLUMN general_capacity    int CHECK (general_capacity BETWEEN 1 AND 1000000000),
    ADD COLUMN general_refill      int CHECK (general_refill BETWEEN 1 AND 1000000),
    ADD COLUMN reporting_capacity  int CHECK (reporting_capacity BETWEEN 1 AND 1000000000),
    ADD COLUMN reporting_refill    int CHECK (reporting_refill BETWEEN 1 AND 1000000);

-- Token buckets: a row a bucket, of a customer or, where that is null, of the
-- organization. Nothing is lost with it that a second does not bring back, so it
-- is not logged, and a charge waits for no disk. A page keeps room for new
-- versions of its rows, so that none of them touches the index.
CREATE UNLOGGED TABLE rate_limits (
    organization_id  int NOT NULL REFERENCES organizations ON DELETE CASCADE,
    customer_id      int,
    kind             text NOT NULL,
    remaining        bigint NOT NULL,
    granted          boolean NOT NULL,
    counted_at       timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (organization_id, customer_id, kind)
) WITH (fillfactor = 25, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
