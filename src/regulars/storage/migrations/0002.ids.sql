-- Ids are numbered within their community, so that they reveal nothing about the volume of another one.
--
-- The ids of a community start at its own number times 2^32: no two communities share an id, and up to community 2^21
-- they stay below 2^53, which JSON readers represent exactly. Members have a sequence of their own, because bitmaps of
-- members are small only if the numbers are dense. Ids of locations stay below 2^32, because aggregation values are
-- computed with them in 32 bits: a community is assigned blocks of 4096 of them.

CREATE SEQUENCE location_blocks;

-- The next id of a row of the current community (regulars.community_id).
CREATE FUNCTION next_id() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
SELECT nextval(CAST('public.row_ids_' || current_setting('regulars.community_id') AS regclass))
$$;

-- The next member id of the current community.
CREATE FUNCTION next_member_id() RETURNS bigint
LANGUAGE sql VOLATILE AS $$
SELECT nextval(CAST('public.member_ids_' || current_setting('regulars.community_id') AS regclass))
$$;

-- Assigns the current community another block of location ids if the present one is used up.
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

-- The next location id of the current community.
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

-- Creates the three sequences of a community. Roles that may insert transactions may draw from them.
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
        -- Roles that may insert rows of the community may draw their ids.
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

-- Creates the sequences of a new community.
CREATE FUNCTION create_own_id_sequences() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
BEGIN
    PERFORM create_id_sequences(NEW.id);
    RETURN NULL;
END
$$;

CREATE TRIGGER create_id_sequences AFTER INSERT ON communities
FOR EACH ROW EXECUTE FUNCTION create_own_id_sequences();
