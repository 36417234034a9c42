-- Transactions with their items, and claims of transactions by members.

-- A sale or a return. profile_id is null until the transaction is assigned to a profile.
CREATE TABLE transactions (
    community_id      int NOT NULL,
    id                bigint NOT NULL DEFAULT next_id(),
    external_id       text COLLATE "C",
    profile_id        uuid,
    transacted_at     timestamptz NOT NULL,
    timezone          text,
    total             numeric NOT NULL,
    currency          text,
    currency_rate     numeric,
    location_id       bigint,
    systems           text[] NOT NULL DEFAULT '{}',
    is_void           boolean NOT NULL DEFAULT false,
    receipt_ref       text COLLATE "C",
    details           jsonb,
    fingerprint       bytea,
    created_at        timestamptz NOT NULL,
    updated_at        timestamptz NOT NULL,
    amount            bigint NOT NULL,
    direction         smallint NOT NULL,
    transacted_on     date,
    channels          smallint,
    discount          numeric,
    list_value        numeric,
    item_product_ids  bigint[],
    item_brands       text[] COLLATE "C",
    items_overflow    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (community_id, id)
) WITH (
    autovacuum_vacuum_insert_scale_factor = 0.02,
    autovacuum_vacuum_insert_threshold = 20000,
    autovacuum_vacuum_scale_factor = 0.02,
    autovacuum_analyze_scale_factor = 0.05
);

COMMENT ON COLUMN transactions.amount IS
    'Derived: the total in the currency of the community, in minor units, rounded half to even.';
COMMENT ON COLUMN transactions.direction IS 'Derived from the unrounded total: 1 a sale, -1 a return, 0 neither.';
COMMENT ON COLUMN transactions.transacted_on IS
    'Derived: the local date in the time zone of the transaction. Null if the zone of the location or the '
    'community applies.';
COMMENT ON COLUMN transactions.channels IS
    'Derived from systems: 1 pos, 2 web, 3 both. Null if the type of the location applies.';
COMMENT ON COLUMN transactions.list_value IS
    'Derived: the sum of price_current * quantity of the sold items at the exchange rate of the transaction, '
    'unrounded.';
COMMENT ON COLUMN transactions.item_product_ids IS
    'Derived: with item_brands the distinct pairs (product, brand of the item) of the sold items.';
COMMENT ON COLUMN transactions.items_overflow IS
    'Derived: there are too many pairs for the index, so they are read from transaction_items.';

CREATE INDEX transactions_unassigned ON transactions (community_id, receipt_ref) WHERE profile_id IS NULL;
-- A profile's history, read by index-only scans.
CREATE INDEX transactions_history ON transactions (community_id, profile_id, transacted_at, id)
    INCLUDE (external_id, amount, direction, transacted_on, channels, location_id,
             discount, list_value, item_product_ids, item_brands, items_overflow)
    WHERE NOT is_void AND profile_id IS NOT NULL;
CREATE INDEX transactions_void ON transactions (community_id, profile_id) WHERE is_void AND profile_id IS NOT NULL;
CREATE UNIQUE INDEX transactions_by_external_id ON transactions (community_id, external_id)
    WHERE external_id IS NOT NULL;

-- The lines of a transaction.
CREATE TABLE transaction_items (
    community_id        int NOT NULL,
    transaction_id      bigint NOT NULL,
    id                  bigint NOT NULL DEFAULT next_id(),
    external_id         text COLLATE "C",
    name                text,
    sku                 text COLLATE "C",
    brand               text COLLATE "C",
    product_id          bigint,
    product_variant_id  bigint,
    quantity            numeric NOT NULL,
    price_sell          numeric,
    price_current       numeric,
    price_original      numeric,
    price_tax           numeric,
    discounts           jsonb,
    is_void             boolean NOT NULL DEFAULT false,
    details             jsonb,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    PRIMARY KEY (community_id, transaction_id, id)
);

-- A member's claim to a transaction by its receipt; transaction_id is null until a matching transaction arrives.
CREATE TABLE transaction_claims (
    community_id            int NOT NULL,
    id                      bigint NOT NULL DEFAULT next_id(),
    profile_id              uuid NOT NULL,
    receipt_ref             text COLLATE "C" NOT NULL,
    transacted_at           timestamptz NOT NULL,
    timezone                text NOT NULL,
    total                   numeric NOT NULL,
    location_external_code  text COLLATE "C" NOT NULL,
    transaction_id          bigint,
    created_at              timestamptz NOT NULL,
    updated_at              timestamptz NOT NULL,
    PRIMARY KEY (community_id, id)
);

CREATE INDEX transaction_claims_unmatched ON transaction_claims (community_id, receipt_ref)
    WHERE transaction_id IS NULL;
CREATE INDEX transaction_claims_by_profile ON transaction_claims (community_id, profile_id);
CREATE INDEX transaction_claims_by_transaction ON transaction_claims (community_id, transaction_id)
    WHERE transaction_id IS NOT NULL;
