-- Applied after every migration: each table that has a community lets a statement
-- see only the rows of the community that it runs for, whoever owns the table.
DO $isolation$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT c.oid::regclass AS name, c.relispartition
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema()
          AND c.relkind IN ('r', 'p')
          AND EXISTS (
              SELECT FROM pg_attribute AS a
              WHERE a.attrelid = c.oid AND a.attname = 'community_id' AND NOT a.attisdropped
          )
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', each.name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', each.name);
        EXECUTE format('DROP POLICY IF EXISTS own_community ON %s', each.name);
        -- The setting is read in a scalar subquery: once a statement, not once a row.
        -- A partition is reached through its parent, whose policy counts.
        IF NOT each.relispartition AND each.name <> 'tokens'::regclass THEN
            EXECUTE format(
                'CREATE POLICY own_community ON %s USING (community_id = '
                '(SELECT nullif(current_setting(''regulars.community_id'', true), '''')::int))',
                each.name
            );
        END IF;
    END LOOP;

    -- A token is seen by who shows it, or by the organization that it belongs to, which alone changes it.
    EXECUTE 'DROP POLICY IF EXISTS own_organization ON tokens';
    EXECUTE 'DROP POLICY IF EXISTS own_hash ON tokens';
    EXECUTE 'CREATE POLICY own_organization ON tokens USING ('
        'organization_id = (SELECT nullif(current_setting(''regulars.organization_id'', true), '''')::int))';
    EXECUTE 'CREATE POLICY own_hash ON tokens FOR SELECT USING ('
        'hash = (SELECT nullif(current_setting(''regulars.token_hash'', true), '''')))';

    -- Communities are listed by all, and changed each by itself.
    ALTER TABLE communities ENABLE ROW LEVEL SECURITY;
    ALTER TABLE communities FORCE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS every_community ON communities;
    DROP POLICY IF EXISTS own_community_made ON communities;
    DROP POLICY IF EXISTS own_community_changed ON communities;
    CREATE POLICY every_community ON communities FOR SELECT USING (true);
    CREATE POLICY own_community_made ON communities FOR INSERT WITH CHECK (
        id = (SELECT nullif(current_setting('regulars.community_id', true), '')::int)
    );
    CREATE POLICY own_community_changed ON communities FOR UPDATE USING (
        id = (SELECT nullif(current_setting('regulars.community_id', true), '')::int)
    );
END
$isolation$;
