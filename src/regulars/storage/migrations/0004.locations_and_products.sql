-- What transactions refer to: locations, brands, products and their variants.

-- Shops, web shops and other places of sale.
CREATE TABLE locations (
    community_id           int NOT NULL,
    id                     bigint NOT NULL DEFAULT next_location_id(),
    external_id            text COLLATE "C",
    external_code          text COLLATE "C",
    type                   text,
    name                   text,
    description            text,
    phone                  text,
    email                  text,
    timezone               text,
    country                text COLLATE "C",
    iso_state              text COLLATE "C",
    state                  text COLLATE "C",
    is_published           boolean NOT NULL DEFAULT true,
    is_permanently_closed  boolean NOT NULL DEFAULT false,
    address                jsonb,
    normal_hours           jsonb NOT NULL DEFAULT '[]',
    special_hours          jsonb NOT NULL DEFAULT '[]',
    tags                   jsonb NOT NULL DEFAULT '[]',
    custom_fields          jsonb NOT NULL DEFAULT '[]',
    extra                  jsonb NOT NULL DEFAULT '{}',
    created_at             timestamptz NOT NULL,
    updated_at             timestamptz NOT NULL,
    deleted_at             timestamptz,
    PRIMARY KEY (community_id, id)
);

COMMENT ON COLUMN locations.country IS
    'Derived: ISO 3166-1 alpha-2 from iso of the address, else from its country, else from its country_iso_3.';

CREATE UNIQUE INDEX locations_by_external_id ON locations (community_id, external_id) WHERE deleted_at IS NULL;
CREATE INDEX locations_by_external_code ON locations (community_id, external_code) WHERE external_code IS NOT NULL;

-- Brands, identified by an external id or by name.
CREATE TABLE brands (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    external_id   text COLLATE "C",
    name          text COLLATE "C" NOT NULL,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX brands_by_external_id ON brands (community_id, external_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX brands_by_name ON brands (community_id, name) WHERE deleted_at IS NULL;

-- Products.
CREATE TABLE products (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    external_id   text COLLATE "C",
    name          text,
    brand_id      bigint,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX products_by_external_id ON products (community_id, external_id) WHERE deleted_at IS NULL;
-- Only products without an external id are identified by name and brand.
CREATE UNIQUE INDEX products_by_name ON products (community_id, name, brand_id) NULLS NOT DISTINCT
    WHERE external_id IS NULL AND name IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX products_by_brand ON products (community_id, brand_id);

-- Sellable variants of a product, such as sizes.
CREATE TABLE product_variants (
    community_id  int NOT NULL,
    id            bigint NOT NULL DEFAULT next_id(),
    product_id    bigint NOT NULL,
    external_id   text COLLATE "C",
    sku           text COLLATE "C",
    name          text,
    price         numeric,
    extra         jsonb NOT NULL DEFAULT '{}',
    created_at    timestamptz NOT NULL,
    updated_at    timestamptz NOT NULL,
    deleted_at    timestamptz,
    PRIMARY KEY (community_id, id)
);

CREATE UNIQUE INDEX product_variants_by_sku ON product_variants (community_id, sku) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX product_variants_by_external_id ON product_variants (community_id, external_id)
    WHERE deleted_at IS NULL;
CREATE INDEX product_variants_by_product ON product_variants (community_id, product_id);
