-- Columns that no plan depends on have no statistics: they are in no condition, join, grouping or order of a statement
-- whose plan they could change. ANALYZE reads and sorts a sample of every other column, again and again while a club
-- sells.
ALTER TABLE transactions
    ALTER COLUMN systems SET STATISTICS 0,
    ALTER COLUMN details SET STATISTICS 0,
    ALTER COLUMN fingerprint SET STATISTICS 0,
    ALTER COLUMN discount SET STATISTICS 0,
    ALTER COLUMN list_value SET STATISTICS 0,
    ALTER COLUMN item_product_ids SET STATISTICS 0,
    ALTER COLUMN item_brands SET STATISTICS 0;

ALTER TABLE transaction_items
    ALTER COLUMN name SET STATISTICS 0,
    ALTER COLUMN price_sell SET STATISTICS 0,
    ALTER COLUMN price_current SET STATISTICS 0,
    ALTER COLUMN price_original SET STATISTICS 0,
    ALTER COLUMN price_tax SET STATISTICS 0,
    ALTER COLUMN discounts SET STATISTICS 0,
    ALTER COLUMN details SET STATISTICS 0;

ALTER TABLE purchases ALTER COLUMN brand_amounts SET STATISTICS 0;
ALTER TABLE member_bitmaps ALTER COLUMN bitmap SET STATISTICS 0;

-- An update changes values, which have no statistics (see aggregations/table.py); only new rows change the others.
ALTER TABLE profile_aggregations SET (autovacuum_analyze_scale_factor = 0.2);
