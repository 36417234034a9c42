-- A provider's token is good once in all communities that share the key that signed it, not once in each.
-- depends: 0016.member_handles

-- Which key signed a token of before is not known. Such tokens expire within 25 hours.
DROP TABLE provider_tokens;

-- `content` is a digest of the community and of what came with the token. It holds no community_id: a token that one
-- community has used must be visible to all.
CREATE TABLE provider_tokens (
    provider  text COLLATE "C" NOT NULL,
    key       uuid NOT NULL,
    token     uuid NOT NULL,
    content   uuid NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (provider, key, token)
);

CREATE INDEX provider_tokens_by_age ON provider_tokens (at);
