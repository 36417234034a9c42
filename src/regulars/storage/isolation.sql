-- Applied after every migration: row-level security of every table with a community limits a statement to the rows of
-- its community, even for the owner of the table.
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
        -- The scalar subquery reads the setting once per statement instead of once per row.
        -- A partition is accessed through its parent, whose policy applies.
        IF NOT each.relispartition AND each.name <> 'tokens'::regclass THEN
            EXECUTE format(
                'CREATE POLICY own_community ON %s USING (community_id = '
                '(SELECT nullif(current_setting(''regulars.community_id'', true), '''')::int))',
                each.name
            );
        END IF;
    END LOOP;

    -- A token is visible to a statement that has its hash, and to its organization, which alone can change it.
    EXECUTE 'DROP POLICY IF EXISTS own_organization ON tokens';
    EXECUTE 'DROP POLICY IF EXISTS own_hash ON tokens';
    EXECUTE 'CREATE POLICY own_organization ON tokens USING ('
        'organization_id = (SELECT nullif(current_setting(''regulars.organization_id'', true), '''')::int))';
    EXECUTE 'CREATE POLICY own_hash ON tokens FOR SELECT USING ('
        'hash = (SELECT nullif(current_setting(''regulars.token_hash'', true), '''')))';

    -- These rows are visible to statements that run for their organization.
    FOR each IN
        SELECT c.oid::regclass AS name
        FROM pg_class AS c
        WHERE c.relnamespace = current_schema()::regnamespace AND c.relname IN (
              'audit_log', 'exports', 'export_schedules', 'roles', 'saved_views', 'users', 'user_sessions'
          )
    LOOP
        EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', each.name);
        EXECUTE format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', each.name);
        EXECUTE format('DROP POLICY IF EXISTS own_organization ON %s', each.name);
        EXECUTE format(
            'CREATE POLICY own_organization ON %s USING (organization_id = '
            '(SELECT nullif(current_setting(''regulars.organization_id'', true), '''')::int))',
            each.name
        );
    END LOOP;

    -- A sign-in knows the e-mail address of a user and the secret of a session, and no organization yet.
    IF to_regclass('users') IS NOT NULL THEN
        EXECUTE 'DROP POLICY IF EXISTS own_email ON users';
        EXECUTE 'CREATE POLICY own_email ON users FOR SELECT USING ('
            'email = (SELECT nullif(current_setting(''regulars.user_email'', true), '''')))';
        EXECUTE 'DROP POLICY IF EXISTS own_hash ON user_sessions';
        EXECUTE 'CREATE POLICY own_hash ON user_sessions FOR SELECT USING ('
            'hash = (SELECT nullif(current_setting(''regulars.session_hash'', true), '''')))';
    END IF;

    -- Every community is readable, and can be changed only by a statement that runs for it.
    ALTER TABLE communities ENABLE ROW LEVEL SECURITY;
    ALTER TABLE communities FORCE ROW LEVEL SECURITY;
    DROP POLICY IF EXISTS all_communities_select ON communities;
    DROP POLICY IF EXISTS own_community_insert ON communities;
    DROP POLICY IF EXISTS own_community_update ON communities;
    CREATE POLICY all_communities_select ON communities FOR SELECT USING (true);
    CREATE POLICY own_community_insert ON communities FOR INSERT WITH CHECK (
        id = (SELECT nullif(current_setting('regulars.community_id', true), '')::int)
    );
    CREATE POLICY own_community_update ON communities FOR UPDATE USING (
        id = (SELECT nullif(current_setting('regulars.community_id', true), '')::int)
    );
END
$isolation$;
