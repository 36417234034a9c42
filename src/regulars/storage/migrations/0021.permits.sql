-- Tokens need permits for the Profile API, show when they were last used, and can be replaced by another one; the
-- general rate limit leases its tokens to processes.
-- depends: 0020.privileges

ALTER TABLE tokens ADD COLUMN used_at timestamptz;

-- A token of a community that was made without permits was good for all of the Profile API, and stays so. One that
-- was made with permits of reports is good for exactly those. Rows are seen by none but their own organization,
-- whoever owns the table.
DO $$
DECLARE
    each int;
BEGIN
    FOR each IN SELECT id FROM organizations ORDER BY id LOOP
        PERFORM set_config('regulars.organization_id', each::text, true);
        UPDATE tokens
        SET permits = ARRAY[
            'Profile:*', 'Transaction:*', 'Location:*', 'Product:*', 'Webhook:*', 'Import:*', 'Member:*'
        ]
        WHERE organization_id = each AND community_id IS NOT NULL AND permits = '{}';
    END LOOP;
    PERFORM set_config('regulars.organization_id', '', true);
END
$$;

-- Has a token of an organization expire, not later than it did. Gives false where there is none that is valid.
CREATE FUNCTION expire_token(organization int, token int, now timestamptz, expires timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    done boolean;
BEGIN
    IF now IS NULL OR expires IS NULL OR expires < now THEN
        RAISE EXCEPTION 'a token expires at an instant that is not in the past, not at %', expires;
    END IF;
    -- An owner that is no superuser sees the tokens of one organization only.
    PERFORM set_config('regulars.organization_id', organization::text, true);
    UPDATE tokens
    SET expires_at = least(expires_at, expires)
    WHERE id = token AND organization_id = organization AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > now);
    done := FOUND;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN done;
END
$$;

-- Records when tokens were last used: of each its organization, its id and the instant.
CREATE FUNCTION record_token_uses(organizations int[], tokens int[], instants timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    each record;
BEGIN
    -- In one order, so that no two processes wait for each other.
    FOR each IN
        SELECT u.organization, u.token, u.at
        FROM unnest(organizations, tokens, instants) AS u (organization, token, at)
        ORDER BY u.organization, u.token
    LOOP
        PERFORM set_config('regulars.organization_id', each.organization::text, true);
        UPDATE public.tokens AS t
        SET used_at = greatest(t.used_at, each.at)
        WHERE t.id = each.token AND t.organization_id = each.organization;
    END LOOP;
    PERFORM set_config('regulars.organization_id', before, true);
END
$$;

-- What processes hold of a bucket's tokens: by process how many, and until when, in seconds since 1970.
ALTER TABLE rate_limits ADD COLUMN leases jsonb NOT NULL DEFAULT '{}';
