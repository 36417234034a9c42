-- Providers of mail and SMS, which tell by webhooks what became of a community's messages.
-- depends: 0011.offers

-- What a provider signs is its own by any of `keys`, so that one can be replaced without a gap. Messages name their
-- sending, recipient and dispatch under the three names. `url` is the address that it calls, where a proxy hides it.
CREATE TABLE providers (
    community_id   int NOT NULL,
    provider       text COLLATE "C" NOT NULL,
    keys           text[] NOT NULL,
    sending_name   text COLLATE "C" NOT NULL,
    profile_name   text COLLATE "C" NOT NULL,
    dispatch_name  text COLLATE "C" NOT NULL,
    url            text COLLATE "C",
    created_at     timestamptz NOT NULL,
    updated_at     timestamptz NOT NULL,
    PRIMARY KEY (community_id, provider)
);

-- Where a provider signs a token and not what comes with it, a token is good for one content: both are digests.
CREATE TABLE provider_tokens (
    community_id  int NOT NULL,
    provider      text COLLATE "C" NOT NULL,
    token         uuid NOT NULL,
    content       uuid NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (community_id, provider, token)
);

CREATE INDEX provider_tokens_by_age ON provider_tokens (community_id, at);
