-- Who read, exported, changed and erased what, and what loads and verify runs have found.

-- Requests and commands that are recorded. The app's role may only insert and read, and entries are deleted by
-- delete_audit_entries. actor_id is the id of the user or token, actor_name the name at that time. subject_ids are ids
-- of what the request was about, such as profiles: ids alone, so that an entry about an erased member names no one.
-- count is the number of equal denied requests that one entry stands for.
CREATE TABLE audit_log (
    organization_id  int NOT NULL REFERENCES organizations,
    id               bigint GENERATED ALWAYS AS IDENTITY,
    occurred_at      timestamptz NOT NULL,
    actor_type       text COLLATE "C" NOT NULL CHECK (actor_type IN ('user', 'token', 'link', 'command')),
    actor_id         bigint,
    actor_name       text COLLATE "C" NOT NULL,
    action           text COLLATE "C" NOT NULL,
    subject_type     text COLLATE "C" NOT NULL,
    subject_ids      text[] NOT NULL,
    community_ids    int[] NOT NULL,
    operation        text COLLATE "C" NOT NULL,
    address          text COLLATE "C" NOT NULL,
    details          jsonb NOT NULL,
    count            int NOT NULL DEFAULT 1,
    PRIMARY KEY (organization_id, occurred_at, id)
);

CREATE INDEX audit_log_by_actor ON audit_log (organization_id, actor_type, actor_id, occurred_at);
CREATE INDEX audit_log_by_subject ON audit_log USING gin (subject_ids);

-- Deletes the entries of an organization before a time, except those of the last 30 days by the database's own clock.
-- Returns their number.
CREATE FUNCTION delete_audit_entries(organization int, before_time timestamptz) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    deleted int;
BEGIN
    IF before_time IS NULL THEN
        RAISE EXCEPTION 'the time before which entries are deleted is null';
    END IF;
    -- Row-level security shows the owner the entries of one organization only, unless it is a superuser.
    PERFORM set_config('regulars.organization_id', organization::text, true);
    DELETE FROM audit_log
    WHERE organization_id = organization AND occurred_at < least(before_time, now() - interval '30 days');
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN deleted;
END
$$;

-- Loads and imports with their outcome. reasons: the most frequent reasons of rejected rows, without their values.
CREATE TABLE load_runs (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    source        text COLLATE "C" NOT NULL,
    entity        text COLLATE "C" NOT NULL,
    file_name     text COLLATE "C" NOT NULL,
    started_at    timestamptz NOT NULL,
    finished_at   timestamptz NOT NULL,
    accepted      bigint NOT NULL,
    unchanged     bigint NOT NULL,
    rejected      bigint NOT NULL,
    reasons       jsonb NOT NULL,
    error         text,
    PRIMARY KEY (community_id, id)
);

CREATE INDEX load_runs_by_time ON load_runs (community_id, finished_at);

-- Runs of `regulars verify`. differences_by_name: number of differences by value or count.
CREATE TABLE verify_runs (
    community_id         int NOT NULL,
    id                   bigint NOT NULL DEFAULT next_id(),
    started_at           timestamptz NOT NULL,
    finished_at          timestamptz NOT NULL,
    profiles             bigint NOT NULL,
    differences          bigint NOT NULL,
    differences_by_name  jsonb NOT NULL,
    PRIMARY KEY (community_id, id)
);

CREATE INDEX verify_runs_by_time ON verify_runs (community_id, finished_at);
