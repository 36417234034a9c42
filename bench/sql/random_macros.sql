-- Deterministic pseudo-random macros, independent of threads: uniform(number, salt) is a number from 0 to 1 by a hash.
CREATE MACRO uniform(number, salt) AS hash(CAST(number AS BIGINT) * 64 + salt) / 18446744073709551616.0;

CREATE MACRO end_ms() AS epoch_ms(TIMESTAMP '2026-11-01 12:00:00');

CREATE MACRO joined_ms(profile) AS
    end_ms() - (0.02 + 0.98 * uniform(profile, 11)) * 5 * 365 * 86400000.0;

-- Every profile buys once; of the other purchases, six tenths of the profiles make a fifth, the most eager tenth nearly a half.
CREATE MACRO buyer(number, purchases, profiles) AS
    CASE WHEN number < profiles THEN (number * 7919) % profiles
         WHEN uniform(number, 12) < 0.20 THEN CAST(floor(0.6 * profiles * uniform(number, 13)) AS BIGINT)
         WHEN uniform(number, 12) < 0.55 THEN CAST(floor((0.6 + 0.3 * uniform(number, 13)) * profiles) AS BIGINT)
         ELSE CAST(floor((0.9 + 0.1 * uniform(number, 13)) * profiles) AS BIGINT) END;

-- Three stores of 200 for each profile, one of them its own.
CREATE MACRO store(profile, number) AS
    'L' || lpad(CAST(CAST(floor(
        uniform(profile, CASE WHEN uniform(number, 14) < 0.7 THEN 15 WHEN uniform(number, 14) < 0.9 THEN 16 ELSE 17 END)
        * 200) AS INTEGER) AS VARCHAR), 3, '0');

-- A few brands of its own for each profile, now and then any of 300.
CREATE MACRO brand(profile, number) AS
    'Brand ' || lpad(CAST(CAST(floor(300 * CASE WHEN uniform(number, 18) < 0.8
        THEN uniform(profile, 20 + CAST(floor(4 * pow(uniform(number, 19), 2)) AS INTEGER))
        ELSE uniform(number, 24) END) AS INTEGER) AS VARCHAR), 3, '0');

CREATE MACRO money(cents) AS CAST(CAST(cents AS DECIMAL(12, 0)) * CAST(0.01 AS DECIMAL(3, 2)) AS DECIMAL(12, 2));
