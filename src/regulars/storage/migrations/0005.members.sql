-- Who is a member, and as what: one row a profile.
-- depends: 0003.derived

CREATE TABLE members (
    community_id      int NOT NULL,
    profile_id        uuid NOT NULL,
    member_id         bigint,
    is_member         boolean NOT NULL,
    optin_channel     text,
    optin_subchannel  text,
    optin_platform    text,
    gender            text,
    birth_date        int,
    subunit_ids       bigint[],
    group_ids         bigint[],
    favorite_stores   bigint[],
    consents_true     text[],
    consents_false    text[],
    marketing         text[],
    sms_status        text,
    email_status      text,
    push_status       text,
    country           text,
    properties        jsonb,
    created_at        timestamptz,
    updated_at        timestamptz,
    transaction_id    xid8 NOT NULL,
    PRIMARY KEY (community_id, profile_id)
);

CREATE INDEX members_by_transaction ON members (community_id, transaction_id);
