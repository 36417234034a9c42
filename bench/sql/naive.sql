-- The naive way: a row trigger recomputes the profile of every transaction, by the product's own definitions.
-- The compiled statement has the variables of the trigger for its parameters.
CREATE OR REPLACE FUNCTION bench_recompute() RETURNS trigger LANGUAGE plpgsql AS $bench$
DECLARE
    bench_club int := NEW.community_id;
    bench_profiles uuid[] := ARRAY[NEW.profile_id];
    bench_at timestamptz[] := ARRAY[clock_timestamp()];
BEGIN
    -- Without it, two writers on one profile would lose each other's change.
    PERFORM FROM profiles
    WHERE profiles.community_id = bench_club AND profiles.profile_id = NEW.profile_id
    FOR NO KEY UPDATE;

    INSERT INTO profile_aggregations (community_id, profile_id, calculated_at, next_change_at, values_version, {columns})
    SELECT bench_club, fresh.profile_id, fresh.calculated_at, fresh.next_change_at, fresh.values_version, {new}
    FROM (
{statement}
    ) AS fresh
    ON CONFLICT (community_id, profile_id) DO UPDATE
    SET calculated_at = excluded.calculated_at,
        next_change_at = excluded.next_change_at,
        values_version = excluded.values_version,
        {updates};
    RETURN NULL;
END
$bench$;

CREATE OR REPLACE TRIGGER bench_recompute
AFTER INSERT ON transactions
FOR EACH ROW
WHEN (NEW.community_id = {club} AND NEW.profile_id IS NOT NULL)
EXECUTE FUNCTION bench_recompute();
