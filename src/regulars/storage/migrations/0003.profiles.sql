-- Profiles with their identities, addresses and memberships. Columns marked as derived are computed from the request;
-- all others are stored as received.
--
-- Here and in other tables some indexes have a condition that always holds, such as member_id IS NOT NULL. It keeps
-- look-ups by the primary key off them: without statistics the planner takes every index that starts with
-- community_id for equally good, and a look-up by another one would read all rows of the community.

-- A person known to a community.
CREATE TABLE profiles (
    community_id           int NOT NULL,
    profile_id             uuid NOT NULL,
    member_id              bigint NOT NULL DEFAULT next_member_id(),
    external_id            text COLLATE "C",
    profile_type           text NOT NULL DEFAULT 'active',
    title                  text,
    first_name             text,
    last_name              text,
    email                  text,
    email_normalized       text COLLATE "C" GENERATED ALWAYS AS (lower(email)) STORED,
    mobile_phone           text,
    gender                 text,
    birth_day              smallint,
    birth_month            smallint,
    birth_year             smallint,
    currency               text,
    joined_at              timestamptz,
    joined_location_id     bigint,
    preferred_location_id  bigint,
    optin_channel          text,
    optin_subchannel       text,
    consents               jsonb NOT NULL DEFAULT '{}',
    sms_status             text,
    email_status           text,
    push_status            text,
    subunit_ids            bigint[] NOT NULL DEFAULT '{}',
    group_ids              bigint[] NOT NULL DEFAULT '{}',
    favorite_stores        bigint[] NOT NULL DEFAULT '{}',
    properties             jsonb NOT NULL DEFAULT '{}',
    attributes             jsonb NOT NULL DEFAULT '{}',
    tags                   jsonb NOT NULL DEFAULT '[]',
    statuses               jsonb NOT NULL DEFAULT '[]',
    custom_fields          jsonb NOT NULL DEFAULT '[]',
    merged_into            uuid,
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    deleted_at             timestamptz,
    phone_country          text COLLATE "C",
    PRIMARY KEY (community_id, profile_id)
);

COMMENT ON COLUMN profiles.email_normalized IS
    'Derived: the e-mail in lower case. Stored, because lower() is not leakproof and row-level security would '
    'rule out an index on it.';
COMMENT ON COLUMN profiles.phone_country IS
    'Derived when the phone number is written: its region, null if several share the prefix. Remains when the '
    'number is erased.';

CREATE UNIQUE INDEX profiles_by_member_id ON profiles (community_id, member_id) WHERE member_id IS NOT NULL;
CREATE UNIQUE INDEX profiles_by_external_id ON profiles (community_id, external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX profiles_by_email ON profiles (community_id, email_normalized) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX profiles_by_mobile_phone ON profiles (community_id, mobile_phone) WHERE deleted_at IS NULL;
CREATE INDEX profiles_by_merged_into ON profiles (community_id, merged_into) WHERE merged_into IS NOT NULL;

-- Identifiers of a profile in other systems, such as card numbers; the handle names the system.
CREATE TABLE identities (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    profile_id    uuid NOT NULL,
    handle        text NOT NULL,
    identifier    text COLLATE "C" NOT NULL,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX identities_by_identifier ON identities (community_id, handle, identifier);
CREATE INDEX identities_by_profile ON identities (community_id, profile_id);

-- Postal addresses of profiles. The primary key includes the columns from which a profile's country is determined, so
-- that a refresh is an index-only scan.
CREATE TABLE addresses (
    community_id  int NOT NULL,
    profile_id    uuid NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    is_default    boolean NOT NULL DEFAULT false,
    country       text COLLATE "C",
    iso_state     text COLLATE "C",
    state         text COLLATE "C",
    fields        jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, profile_id, id) INCLUDE (is_default, country, iso_state, state)
);

COMMENT ON COLUMN addresses.country IS
    'Derived: ISO 3166-1 alpha-2 from iso, else from country, else from country_iso_3.';

-- Joining and leaving: at any instant the number of members is the ins minus the outs that count.
CREATE TABLE memberships (
    community_id      int NOT NULL,
    id                bigint NOT NULL DEFAULT next_id(),
    external_id       text COLLATE "C",
    profile_id        uuid NOT NULL,
    type              text NOT NULL CHECK (type IN ('in', 'out')),
    occurred_at       timestamptz NOT NULL,
    optin_channel     text,
    optin_subchannel  text,
    consents          jsonb,
    is_effective      boolean NOT NULL DEFAULT true,
    created_at        timestamptz NOT NULL,
    PRIMARY KEY (community_id, id)
);

COMMENT ON COLUMN memberships.is_effective IS
    'Derived: the preceding one has the other type; a join of a member and a leave of a non-member have no effect.';

CREATE UNIQUE INDEX memberships_by_external_id ON memberships (community_id, external_id);
CREATE INDEX memberships_by_profile ON memberships (community_id, profile_id, occurred_at);
