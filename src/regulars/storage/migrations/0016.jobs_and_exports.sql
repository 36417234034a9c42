-- Exports of reports to files, the schedules that request them, and the errors of jobs. Exports and schedules belong to
-- an organization, and row-level security limits a statement to the rows of its organization (isolation.sql).

-- Requests of exports at set times. request is the body of the API.
CREATE TABLE export_schedules (
    organization_id       int NOT NULL REFERENCES organizations,
    id                    uuid NOT NULL,
    name                  text NOT NULL,
    request               jsonb NOT NULL,
    community_ids         int[] NOT NULL,
    permits               text[] NOT NULL,
    token_id              int,
    cron                  text NOT NULL,
    timezone              text NOT NULL,
    webhook_secret        bytea,
    next_run_at           timestamptz NOT NULL,
    created_at            timestamptz NOT NULL,
    updated_at            timestamptz NOT NULL,
    PRIMARY KEY (organization_id, id)
);

CREATE INDEX export_schedules_by_next_run ON export_schedules (organization_id, next_run_at);

-- Exports, until they expire. request, community_ids and permits are those at the time of the request. A run of an
-- export increments attempt and writes a file of its own, so a run that was superseded changes nothing. expected_rows
-- are those of the last export of the same request. location is the URL of the object store, or empty for the data
-- folder of host; file_path is the path of the complete file within it.
CREATE TABLE exports (
    organization_id       int NOT NULL REFERENCES organizations,
    id                    uuid NOT NULL,
    status                text NOT NULL CHECK (status IN ('queued', 'running', 'done', 'failed', 'cancelled')),
    request               jsonb NOT NULL,
    community_ids         int[] NOT NULL,
    permits               text[] NOT NULL,
    has_customer_columns  boolean NOT NULL,
    token_id              int,
    schedule_id           uuid,
    scheduled_for         timestamptz,
    key_hash              bytea,
    request_hash          bytea,
    job_id                bigint,
    attempt               int NOT NULL DEFAULT 0,
    rows_written          bigint NOT NULL DEFAULT 0,
    expected_rows         bigint,
    location              text NOT NULL,
    folder                text NOT NULL,
    host                  text,
    file_path             text,
    bytes                 bigint,
    sha256                text,
    error                 text,
    webhook_url           text,
    webhook_secret        bytea,
    requested_at          timestamptz NOT NULL,
    snapshot_at           timestamptz,
    finished_at           timestamptz,
    expires_at            timestamptz,
    PRIMARY KEY (organization_id, id)
);

CREATE INDEX exports_by_time ON exports (organization_id, requested_at DESC, id);
CREATE INDEX exports_unfinished ON exports (organization_id) WHERE status IN ('queued', 'running');
CREATE INDEX exports_by_schedule ON exports (organization_id, schedule_id, scheduled_for DESC)
    WHERE schedule_id IS NOT NULL;
CREATE UNIQUE INDEX exports_by_key ON exports (organization_id, key_hash) WHERE key_hash IS NOT NULL;

-- Why attempts of jobs failed. There is no foreign key, because the tables of the queue are created after this one.
CREATE TABLE job_errors (
    job_id     bigint NOT NULL,
    failed_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    error      text NOT NULL,
    PRIMARY KEY (job_id, failed_at)
);
