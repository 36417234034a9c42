-- Ids are numbered within their community, so that they tell nothing of how much others do.
-- depends: 0021.permits
--
-- A community's ids begin at its own number times 2^32: they are above those that were given before, no other community
-- has the same, and up to a community of 2^21 they are below 2^53, which JSON's readers keep exact. Members have a
-- sequence of their own, for sets of them are kept by number and are small where the numbers are dense. Those of
-- locations are below 2^32, for values are computed with them in 32 bits: a community has blocks of 4096 of them.

-- Draws from a sequence of the community that the statement runs for.
CREATE FUNCTION next_id() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
SELECT nextval(CAST('public.row_ids_' || current_setting('regulars.community_id') AS regclass))
$$;

CREATE FUNCTION next_member_id() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
SELECT nextval(CAST('public.member_ids_' || current_setting('regulars.community_id') AS regclass))
$$;

CREATE SEQUENCE location_blocks;

-- Gives the community that the statement runs for one more block of location ids, if it has used all that it had.
CREATE FUNCTION add_location_ids() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    community int := current_setting('regulars.community_id');
    name text := format('public.%I', 'location_ids_' || community);
    is_used boolean;
    block bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('regulars.location_ids'), community);
    EXECUTE format(
        'SELECT is_called AND last_value = (SELECT seqmax FROM pg_sequence WHERE seqrelid = %L::regclass) FROM %s',
        name, name
    ) INTO is_used;
    IF is_used THEN
        block := nextval('public.location_blocks');
        EXECUTE format(
            'ALTER SEQUENCE %s MINVALUE %s MAXVALUE %s START %s RESTART',
            name, block << 12, (block << 12) + 4095, block << 12
        );
    END IF;
END
$$;

CREATE FUNCTION next_location_id() RETURNS bigint
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    name text := 'public.location_ids_' || current_setting('regulars.community_id');
BEGIN
    RETURN nextval(name::regclass);
EXCEPTION WHEN sequence_generator_limit_exceeded THEN
    PERFORM add_location_ids();
    RETURN nextval(name::regclass);
END
$$;

CREATE FUNCTION create_id_sequences(community int) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    kind text;
    name text;
    first bigint;
    last bigint;
    role regrole;
BEGIN
    FOREACH kind IN ARRAY ARRAY['row', 'member', 'location'] LOOP
        name := format('%s_ids_%s', kind, community);
        IF kind = 'location' THEN
            first := nextval('public.location_blocks') << 12;
            last := first + 4095;
        ELSE
            first := (community::bigint << 32) + 1;
            last := ((community::bigint + 1) << 32) - 1;
        END IF;
        EXECUTE format('CREATE SEQUENCE public.%I MINVALUE %s MAXVALUE %s', name, first, last);
        -- Whoever may write the community's rows may number them.
        FOR role IN
            SELECT x.grantee::regrole
            FROM pg_class AS c
            CROSS JOIN LATERAL aclexplode(c.relacl) AS x
            WHERE c.oid = 'public.transactions'::regclass AND x.privilege_type = 'INSERT'
              AND x.grantee NOT IN (0, c.relowner)
        LOOP
            EXECUTE format('GRANT USAGE ON SEQUENCE public.%I TO %s', name, role);
        END LOOP;
    END LOOP;
END
$$;

CREATE FUNCTION create_own_id_sequences() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM create_id_sequences(NEW.id);
    RETURN NULL;
END
$$;

CREATE TRIGGER create_id_sequences AFTER INSERT ON communities
FOR EACH ROW EXECUTE FUNCTION create_own_id_sequences();

DO $$
DECLARE
    each record;
BEGIN
    -- Above all locations that there are, whoever owns the tables.
    FOR each IN SELECT id FROM communities ORDER BY id LOOP
        PERFORM set_config('regulars.community_id', each.id::text, true);
        PERFORM setval(
            'location_blocks', greatest((SELECT last_value FROM location_blocks), (max(id) >> 12) + 1)
        ) FROM locations WHERE community_id = each.id HAVING max(id) IS NOT NULL;
    END LOOP;
    PERFORM set_config('regulars.community_id', '', true);
    PERFORM create_id_sequences(id) FROM communities;
    FOR each IN
        SELECT a.attrelid::regclass AS name, a.attname AS number
        FROM pg_attribute AS a
        JOIN pg_class AS c ON c.oid = a.attrelid
        WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
          AND a.attidentity <> '' AND c.relname <> 'tokens'
          AND EXISTS (SELECT FROM pg_attribute AS k WHERE k.attrelid = c.oid AND k.attname = 'community_id')
        ORDER BY 1, 2
    LOOP
        EXECUTE format('ALTER TABLE %s ALTER COLUMN %I DROP IDENTITY', each.name, each.number);
        EXECUTE format(
            'ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s()',
            each.name, each.number, CASE
                WHEN each.number = 'member_id' THEN 'next_member_id'
                WHEN each.name = 'locations'::regclass THEN 'next_location_id'
                ELSE 'next_id'
            END
        );
    END LOOP;
    ALTER TABLE transactions ALTER COLUMN id SET DEFAULT next_id();
    ALTER TABLE transaction_items ALTER COLUMN id SET DEFAULT next_id();
    DROP SEQUENCE transaction_ids, transaction_item_ids;
END
$$;
