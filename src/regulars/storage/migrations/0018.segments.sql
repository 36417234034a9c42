-- Segments: named filters over the members of a community, their versions, and which profile was in which one when.

ALTER TABLE communities ADD COLUMN segments_version uuid;

COMMENT ON COLUMN communities.segments_version IS
    'Changes with every change of a segment''s definition or state; null if the community has no segments.';

-- A segment. A deleted one stays until its memberships are deleted as well.
CREATE TABLE segments (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    name          text COLLATE "C" NOT NULL,
    description   text COLLATE "C" NOT NULL,
    version_id    bigint NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX segments_by_name ON segments (community_id, name) WHERE deleted_at IS NULL;

-- A definition of a segment, in force from started_at to ended_at.
CREATE TABLE segment_versions (
    community_id     int NOT NULL,
    id               bigint NOT NULL DEFAULT next_id(),
    segment_id       bigint NOT NULL,
    number           int NOT NULL,
    filter           json NOT NULL,
    cause            text COLLATE "C" NOT NULL,
    organization_id  int,
    token_id         int,
    started_at       timestamptz NOT NULL,
    ended_at         timestamptz,
    filled_up_to     uuid,
    is_filled        boolean NOT NULL DEFAULT false,
    known_since      timestamptz,
    problem          text COLLATE "C",
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX segment_versions_by_number ON segment_versions (community_id, segment_id, number);

COMMENT ON COLUMN segment_versions.filter IS 'The filter as it was sent.';
COMMENT ON COLUMN segment_versions.token_id IS 'The token that made the change; null for a command.';
COMMENT ON COLUMN segment_versions.filled_up_to IS 'The last profile that the initial computation has stored.';
COMMENT ON COLUMN segment_versions.is_filled IS 'Whether every membership is stored, so that changes are events.';
COMMENT ON COLUMN segment_versions.known_since IS 'The instant since which the intervals of memberships are complete.';
COMMENT ON COLUMN segment_versions.problem IS 'Why the filter can''t be evaluated; null if it can.';

-- From when to when a profile was in a segment, by version of the definition. left_at is null while it is.
CREATE TABLE segment_memberships (
    community_id  int NOT NULL,
    profile_id    uuid NOT NULL,
    version_id    bigint NOT NULL,
    entered_at    timestamptz NOT NULL,
    left_at       timestamptz,
    PRIMARY KEY (community_id, profile_id, version_id, entered_at)
);

CREATE INDEX segment_memberships_by_version ON segment_memberships (community_id, version_id, profile_id)
    WHERE entered_at > '-infinity';

-- The last local day whose birthdays have been evaluated, as a number such as 20261124.
CREATE TABLE segment_days (
    community_id  int PRIMARY KEY,
    day           int NOT NULL
);

-- Members whose age changes on a day.
CREATE INDEX members_by_birth_date ON members (community_id, birth_date) WHERE birth_date IS NOT NULL;
