-- One row a purchase with its one line; {purchases} of {profiles} profiles in five years, the same in every run.
COPY (
    SELECT 'T' || lpad(CAST(n AS VARCHAR), 10, '0') AS external_id,
           'P' || lpad(CAST(profile AS VARCHAR), 9, '0') AS profile,
           make_timestamptz(CAST(1000 * floor(joined_ms + uniform(n, 1) * (end_ms - joined_ms)) AS BIGINT))
               AS transacted_at,
           money(CASE WHEN is_return THEN -list_cents WHEN is_free THEN 0 ELSE list_cents - discount_cents END)
               AS total,
           CASE WHEN is_web THEN 'W1' ELSE store(profile, n) END AS location,
           CASE WHEN is_web THEN 'web' ELSE 'pos' END AS systems,
           'S' || lpad(CAST(CAST(floor(uniform(n, 2) * 5000) AS INTEGER) AS VARCHAR), 5, '0') AS sku,
           brand(profile, n) AS brand,
           quantity,
           money(price_cents) AS price_current,
           money(discount_cents) AS discount
    FROM (
        SELECT *, quantity * price_cents AS list_cents,
               CASE WHEN uniform(n, 3) < 0.2 AND NOT is_return AND NOT is_free
                    THEN quantity * price_cents // 10 ELSE 0 END AS discount_cents
        FROM (
            SELECT n, profile,
                   joined_ms(profile) AS joined_ms,
                   end_ms() AS end_ms,
                   uniform(n, 4) < 0.06 AS is_return,
                   uniform(n, 5) < 0.005 AS is_free,
                   -- A third of the profiles never buy on the web.
                   uniform(profile, 6) > 0.33 AND uniform(n, 7) < 0.2 AS is_web,
                   1 + CAST(floor(3 * pow(uniform(n, 8), 3)) AS INTEGER) AS quantity,
                   CAST(990 + floor(90000 * pow(uniform(n, 9), 4)) AS BIGINT) AS price_cents
            FROM (SELECT n, buyer(n, {purchases}, {profiles}) AS profile FROM range({purchases}) AS each(n)) AS bought
        ) AS priced
    ) AS discounted
) TO '{folder}/transactions.parquet' (FORMAT parquet);

COPY (
    SELECT 'P' || lpad(CAST(profile AS VARCHAR), 9, '0') AS external_id,
           make_timestamptz(CAST(1000 * floor(joined_ms(profile)) AS BIGINT)) AS joined_at,
           CASE WHEN uniform(profile, 10) < 0.3 THEN store(profile, 0) END AS preferred_location_external_id
    FROM range({profiles}) AS each(profile)
) TO '{folder}/profiles.parquet' (FORMAT parquet);

COPY (
    SELECT 'L' || lpad(CAST(location_no AS VARCHAR), 3, '0') AS external_id,
           'store' AS type,
           CASE WHEN location_no < 140 THEN 'NOR' WHEN location_no < 180 THEN 'SWE' ELSE 'DNK' END AS country_iso_3
    FROM range(200) AS each(location_no)
    UNION ALL
    SELECT 'W1', 'online', 'NOR'
) TO '{folder}/locations.parquet' (FORMAT parquet);
