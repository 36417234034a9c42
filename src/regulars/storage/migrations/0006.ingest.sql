-- State of ingestion and delivery: idempotency keys, import results, webhooks and provider settings.

-- The first response to a request with an Idempotency-Key. The key is stored as a hash that includes the caller. The
-- profile and transaction that a stored response concerns are recorded, so that it can be blanked once they are erased.
CREATE TABLE idempotency_keys (
    community_id    int NOT NULL,
    day             date NOT NULL,
    key_hash        bytea NOT NULL,
    request_hash    bytea NOT NULL,
    status          smallint,
    response_body   bytea,
    created_at      timestamptz NOT NULL,
    profile_id      uuid,
    profile_ids     uuid[],
    transaction_id  bigint,
    PRIMARY KEY (day, community_id, key_hash)
) PARTITION BY RANGE (day);

COMMENT ON COLUMN idempotency_keys.profile_id IS 'The profile that the response concerns, if it is one.';
COMMENT ON COLUMN idempotency_keys.profile_ids IS 'The profiles that the response concerns, if they are several.';
COMMENT ON COLUMN idempotency_keys.transaction_id IS
    'The transaction in the response. It may be assigned to a profile later.';
COMMENT ON COLUMN idempotency_keys.response_body IS 'Null after a profile that it concerns was erased.';

CREATE INDEX idempotency_keys_by_profile ON idempotency_keys (community_id, profile_id)
    WHERE profile_id IS NOT NULL;
CREATE INDEX idempotency_keys_by_transaction ON idempotency_keys (community_id, transaction_id)
    WHERE transaction_id IS NOT NULL;
-- Not a GIN index on the array: its operators are not leakproof, so row-level security would rule it out.
CREATE INDEX idempotency_keys_by_several_profiles ON idempotency_keys (community_id) WHERE profile_ids IS NOT NULL;

-- One row per commit: proves that a commit succeeded after its connection was lost. A transaction id would prove
-- nothing, because after a crash the server may reuse an id that was not durable.
CREATE TABLE commit_markers (
    community_id  int NOT NULL,
    day           date NOT NULL,
    id            uuid NOT NULL,
    PRIMARY KEY (community_id, day, id)
) PARTITION BY RANGE (day);

-- Results of queued import batches.
CREATE TABLE import_batches (
    community_id  int NOT NULL,
    batch_id      uuid NOT NULL,
    entity        text NOT NULL,
    accepted      int NOT NULL,
    unchanged     int NOT NULL,
    rejected      jsonb NOT NULL,
    created_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, batch_id)
);

-- Subscriptions to events. The secret signs the payloads.
CREATE TABLE webhooks (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    trigger       text NOT NULL,
    url           text NOT NULL,
    namespace     text,
    user_id       bigint,
    is_active     boolean NOT NULL DEFAULT true,
    retry_daily   int,
    retry_hourly  int,
    queue         text,
    condition     jsonb,
    secret        bytea NOT NULL,
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    PRIMARY KEY (community_id, id)
);

-- Changed aggregation values by name, each as [old, new]. `recorded_xid` is the database transaction that recorded the
-- change. Consumers read by it, below pg_snapshot_xmin; reading by a sequence would miss rows of transactions that
-- commit late.
CREATE TABLE outbox (
    community_id    int NOT NULL,
    day             date NOT NULL,
    id              bigint NOT NULL DEFAULT next_id(),
    recorded_xid    xid8 NOT NULL DEFAULT pg_current_xact_id(),
    profile_id      uuid NOT NULL,
    changed_at      timestamptz NOT NULL,
    reason          text NOT NULL,
    changes         json NOT NULL,
    PRIMARY KEY (day, recorded_xid, id)
) PARTITION BY RANGE (day);

-- E-mail and SMS providers that report delivery events by webhooks. A payload may be signed by any of `signing_keys`,
-- so that a key can be rotated without a gap. sending_field, profile_field and dispatch_field are the payload's fields
-- for the sending, the recipient and the dispatch. `url` is the public address of the webhook where a proxy hides it.
CREATE TABLE providers (
    community_id    int NOT NULL,
    provider        text COLLATE "C" NOT NULL,
    signing_keys    text[] NOT NULL,
    sending_field   text COLLATE "C" NOT NULL,
    profile_field   text COLLATE "C" NOT NULL,
    dispatch_field  text COLLATE "C" NOT NULL,
    url             text COLLATE "C",
    created_at      timestamptz NOT NULL,
    updated_at      timestamptz NOT NULL,
    PRIMARY KEY (community_id, provider)
);

-- Prevents replays from providers that sign a token but not the body: a token is valid for one body, in all communities
-- that share the signing key. Therefore the table has no community_id; `body_hash` is a digest of the community and the
-- body.
CREATE TABLE webhook_replay_guard (
    provider    text COLLATE "C" NOT NULL,
    key_hash    uuid NOT NULL,
    token_hash  uuid NOT NULL,
    body_hash   uuid NOT NULL,
    seen_at     timestamptz NOT NULL,
    PRIMARY KEY (provider, key_hash, token_hash)
);

CREATE INDEX webhook_replay_guard_by_age ON webhook_replay_guard (seen_at);
