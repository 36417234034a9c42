-- Changes of tokens and organizations that the app's role may make only by these functions; see
-- 0014.maintenance_functions.sql for what they have in common.

-- Revokes a token of an organization. Returns false if there is none or it is revoked already.
CREATE FUNCTION revoke_token(organization int, token int, at timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    is_revoked boolean;
BEGIN
    IF at IS NULL THEN
        RAISE EXCEPTION 'the time of the revocation is null';
    END IF;
    -- Row-level security shows the owner the tokens of one organization only, unless it is a superuser.
    PERFORM set_config('regulars.organization_id', organization::text, true);
    UPDATE tokens SET revoked_at = at WHERE id = token AND organization_id = organization AND revoked_at IS NULL;
    is_revoked := FOUND;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN is_revoked;
END
$$;

-- Makes a token of an organization expire, not later than it would. Returns false if there is no valid one.
CREATE FUNCTION expire_token(organization int, token int, now timestamptz, expires timestamptz) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    is_changed boolean;
BEGIN
    IF now IS NULL OR expires IS NULL OR expires < now THEN
        RAISE EXCEPTION 'expiry % of the token is null or in the past', expires;
    END IF;
    -- Row-level security shows the owner the tokens of one organization only, unless it is a superuser.
    PERFORM set_config('regulars.organization_id', organization::text, true);
    UPDATE tokens
    SET expires_at = least(expires_at, expires)
    WHERE id = token AND organization_id = organization AND revoked_at IS NULL
      AND (expires_at IS NULL OR expires_at > now);
    is_changed := FOUND;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN is_changed;
END
$$;

-- Records when tokens were last used.
CREATE FUNCTION record_token_uses(organizations int[], tokens int[], instants timestamptz[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    each record;
BEGIN
    -- Updated in one order, so that concurrent calls don't deadlock.
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

-- Deletes the tokens that are bound to erased profiles. Returns the number of tokens deleted.
CREATE FUNCTION delete_profile_tokens(organization int, community int, profiles uuid[]) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    before text := coalesce(current_setting('regulars.organization_id', true), '');
    deleted int;
BEGIN
    PERFORM set_config('regulars.organization_id', organization::text, true);
    DELETE FROM tokens
    WHERE organization_id = organization AND community_id = community AND profile_id = ANY (profiles);
    GET DIAGNOSTICS deleted = ROW_COUNT;
    PERFORM set_config('regulars.organization_id', before, true);
    RETURN deleted;
END
$$;

-- Sets one setting of an organization; null restores the server's default. Returns false if there is no organization of
-- that name. The table's constraints check the value.
CREATE FUNCTION set_organization_setting(organization text, setting text, value int) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
DECLARE
    changed int;
BEGIN
    IF coalesce(setting, '') NOT IN (
        'min_cell_size', 'general_burst', 'general_rate_per_second', 'reporting_burst',
        'reporting_rate_per_second'
    ) THEN
        RAISE EXCEPTION 'unknown organization setting %', setting;
    END IF;
    EXECUTE format('UPDATE public.organizations SET %I = $1 WHERE name = $2', setting) USING value, organization;
    GET DIAGNOSTICS changed = ROW_COUNT;
    RETURN changed = 1;
END
$$;
