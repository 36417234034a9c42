-- Aggregation values of each profile. The columns of the values follow from the definitions of aggregations and are
-- added after the migrations.
CREATE TABLE profile_aggregations (
    community_id    int NOT NULL,
    profile_id      uuid NOT NULL,
    calculated_at   timestamptz NOT NULL,
    next_change_at  timestamptz,
    values_version  bigint NOT NULL,
    PRIMARY KEY (community_id, profile_id)
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);

CREATE INDEX profile_aggregations_due ON profile_aggregations (community_id, next_change_at)
    WHERE next_change_at IS NOT NULL;
CREATE INDEX profile_aggregations_by_version ON profile_aggregations (community_id, values_version)
    WHERE values_version IS NOT NULL;
