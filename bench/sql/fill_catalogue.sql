-- $1 the community: stores, neighbours mostly in one country, and web shops, brands, products, each with one variant.
WITH new_locations AS (
    INSERT INTO locations (
        community_id, id, external_id, external_code, type, name, timezone, country, address, created_at, updated_at
    )
    SELECT $1, n, 'S' || n, 'S' || n, CASE WHEN n % 20 = 0 THEN 'online' ELSE 'store' END, 'Store ' || n,
           'Europe/Oslo', codes[1 + n / 20 % 5], jsonb_build_object('country', codes[1 + n / 20 % 5]), now(), now()
    FROM generate_series(1, $2::int) AS n, (SELECT ARRAY['NO', 'SE', 'DK', 'FI', 'DE']) AS country (codes)
),
new_brands AS (
    INSERT INTO brands (community_id, id, name, created_at, updated_at)
    SELECT $1, n, 'Brand ' || n, now(), now()
    FROM generate_series(1, 50) AS n
),
new_products AS (
    INSERT INTO products (community_id, id, external_id, name, brand_id, created_at, updated_at)
    SELECT $1, n, 'P' || n, 'Product ' || n, 1 + n % 50, now(), now()
    FROM generate_series(1, $3::int) AS n
)
INSERT INTO product_variants (community_id, id, product_id, external_id, sku, name, price, created_at, updated_at)
SELECT $1, n, n, 'V' || n, 'SKU' || lpad(n::text, 5, '0'), 'Variant ' || n, 100, now(), now()
FROM generate_series(1, $3::int) AS n
