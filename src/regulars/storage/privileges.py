"""Privileges of the app's role on tables, sequences and functions that run as the owner."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

_SELECT = frozenset({"SELECT"})
_INSERT = _SELECT | {"INSERT"}
_INSERT_UPDATE = _INSERT | {"UPDATE"}
_INSERT_DELETE = _INSERT | {"DELETE"}
_ALL = _INSERT_UPDATE | {"DELETE"}

TABLES: Mapping[str, frozenset[str]] = {
    # Shared by all communities: as few privileges as possible. Other changes are made by functions of the owner.
    "schema_migrations": _SELECT,
    "organizations": _INSERT,
    "communities": _INSERT,
    "tokens": _INSERT,
    "signing_keys": _INSERT,
    "rate_limits": _INSERT_UPDATE,
    "webhook_replay_guard": _ALL,
    "audit_log": _INSERT,
    "export_schedules": _ALL,
    "exports": _ALL,
    "roles": _ALL,
    "saved_views": _INSERT_DELETE,
    "sign_in_failures": _ALL,
    "user_sessions": _ALL,
    "users": _INSERT_UPDATE,
    "job_errors": _INSERT_DELETE,
    "procrastinate_events": _INSERT_UPDATE,
    "procrastinate_jobs": _ALL,
    "procrastinate_periodic_defers": _ALL,
    "procrastinate_workers": _ALL,
    # Facts of communities, under row-level security.
    "addresses": _ALL,
    "brands": _INSERT_UPDATE,
    "identities": _ALL,
    "import_batches": _INSERT,
    "link_visits": _ALL,
    "links": _INSERT_DELETE,
    "load_runs": _INSERT_DELETE,
    "locations": _INSERT_UPDATE,
    "memberships": _ALL,
    "offer_collections": _INSERT_UPDATE,
    "offer_events": _ALL,
    "offers": _INSERT_UPDATE,
    "product_variants": _INSERT_UPDATE,
    "products": _INSERT_UPDATE,
    "profile_name_words": _INSERT_DELETE,
    "profiles": _ALL,
    "providers": _ALL,
    "sending_events": _INSERT_DELETE,
    "sendings": _INSERT_UPDATE,
    "segment_versions": _ALL,
    "segments": _ALL,
    "transaction_claims": _ALL,
    "transaction_items": _ALL,
    "transactions": _ALL,
    "verify_runs": _INSERT_DELETE,
    "webhook_deliveries": _ALL,
    "webhook_events": _INSERT_DELETE,
    "webhook_leases": _ALL,
    "webhooks": _ALL,
    # Data derived from facts, and state of requests.
    "profile_aggregations": _ALL,
    "member_flow_deltas": _INSERT_DELETE,
    "balance_rollups": _ALL,
    "commit_markers": _INSERT,
    "cache_versions": _INSERT_UPDATE,
    "compaction_state": _INSERT_UPDATE,
    "group_counts": _ALL,
    "group_count_deltas": _INSERT_DELETE,
    "group_rollups": _ALL,
    "idempotency_keys": _INSERT_UPDATE,
    "link_rollups": _ALL,
    "link_visitors": _ALL,
    "member_dimension_history": _INSERT_DELETE,
    "members": _ALL,
    "membership_events": _ALL,
    "offer_rollups": _ALL,
    "outbox": _INSERT_DELETE,
    "purchase_versions": _INSERT_DELETE,
    "purchase_compaction_state": _ALL,
    "purchase_rollups": _ALL,
    "purchases": _ALL,
    "recipient_rollups": _ALL,
    "rollup_timezones": _INSERT_UPDATE,
    "sending_daily_uniques": _INSERT_UPDATE,
    "sending_dispatches": _ALL,
    "sending_rollups": _ALL,
    "segment_days": _INSERT_UPDATE,
    "segment_memberships": _ALL,
    "snapshot_counts": _ALL,
    "snapshot_state": _INSERT_UPDATE,
    "snapshot_members": _ALL,
    "snapshot_rollups": _ALL,
    "snapshot_coverage": _INSERT_UPDATE,
    "member_bitmaps": _ALL,
}
"""Privileges by table. Tables that are not listed have none; partitions are accessed through their table."""

COLUMNS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "communities": {
        "UPDATE": frozenset(
            {
                "attributes",
                "country",
                "currency",
                "customer_id",
                "has_former_dispatch_keys",
                "has_new_void_statuses",
                "has_unnormalized_profiles",
                "loyalty_club_id",
                "member_handles",
                "minor_digits",
                "name",
                "segments_version",
                "timezone",
                "updated_at",
                "updates_channel_statuses",
                "void_statuses",
            }
        )
    }
}
"""Columns to which a privilege is limited, by table and privilege."""

SEQUENCES = frozenset(
    {
        "communities_id_seq",
        "procrastinate_events_id_seq",
        "procrastinate_jobs_id_seq",
        "procrastinate_periodic_defers_id_seq",
    }
)
"""Sequences used by statements or serial columns. Identity columns need no privilege."""

_COMMUNITY_SEQUENCE = re.compile(r"(row|member|location)_ids_\d+")
"""Names of the sequences that number the rows of a community."""

FUNCTIONS = frozenset(
    {
        "add_location_ids()",
        "delete_audit_entries(integer,timestamp with time zone)",
        "delete_profile_tokens(integer,integer,uuid[])",
        "drop_partitions(text,date)",
        "expire_token(integer,integer,timestamp with time zone,timestamp with time zone)",
        "analyze_grown_tables()",
        "ensure_partition(text,date)",
        "ensure_rollup_partitions(text,text,timestamp with time zone,timestamp with time zone)",
        "record_token_uses(integer[],integer[],timestamp with time zone[])",
        "revoke_token(integer,integer,timestamp with time zone)",
        "set_organization_setting(text,text,integer)",
    }
)
"""SECURITY DEFINER functions that the role may call. Functions that run as their caller give no privilege."""

# Objects of the owner of the tables that are not part of an extension; PUBLIC is grantee 0. The privileges of a role on
# its own objects are left unchanged, because its functions need them.
CATALOGUE = """
WITH table_owner AS (
    SELECT relowner AS owner FROM pg_class WHERE oid = to_regclass('public.organizations')
),
app AS (
    SELECT oid FROM pg_roles WHERE rolname = $role
),
objects AS (
    SELECT c.oid, CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, c.relname::text AS name,
           c.relowner AS owner, c.relacl AS acl, false AS is_definer
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT p.oid, 'ROUTINE', format('%I(%s)', p.proname, replace(oidvectortypes(p.proargtypes), ', ', ',')),
           p.proowner, coalesce(p.proacl, acldefault('f', p.proowner)), p.prosecdef
    FROM pg_proc AS p
    WHERE p.pronamespace = 'public'::regnamespace
),
grants AS (
    SELECT t.oid, x.grantee, x.privilege_type::text AS privilege
    FROM objects AS t
    CROSS JOIN LATERAL aclexplode(t.acl) AS x
    UNION ALL
    SELECT a.attrelid, x.grantee, format('%s (%I)', x.privilege_type, a.attname)
    FROM pg_attribute AS a
    CROSS JOIN LATERAL aclexplode(a.attacl) AS x
    WHERE a.attnum > 0 AND NOT a.attisdropped
),
-- Grouped once, because a store has thousands of partitions and sequences.
grants_by_object AS (
    SELECT oid, array_agg(privilege) FILTER (WHERE grantee = (SELECT oid FROM app)) AS of_app,
           array_agg(privilege) FILTER (WHERE grantee = 0) AS of_public
    FROM grants
    GROUP BY oid
)
SELECT t.kind, t.name, t.is_definer, t.owner = coalesce((SELECT oid FROM app), 0) AS is_own,
       coalesce(h.of_app, '{}') AS of_app, coalesce(h.of_public, '{}') AS of_public,
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE t.kind = 'TABLE' AND a.attrelid = t.oid) AS columns
FROM objects AS t
LEFT JOIN grants_by_object AS h USING (oid)
WHERE t.owner = (SELECT owner FROM table_owner)
    AND t.oid NOT IN (SELECT objid FROM pg_depend WHERE deptype = 'e')
ORDER BY t.kind, t.name
""".replace("%", "%%").replace("$role", "%(role)s")


@dataclass(frozen=True, slots=True)
class PrivilegeChange:
    """Privileges to grant or revoke on one table, sequence or function."""

    verb: str
    privileges: frozenset[str]
    kind: str
    name: str
    is_public: bool

    def statement(self, app_role: str) -> sql.Composed:
        """Returns the statement that makes the change."""
        target = self.name if self.kind == "ROUTINE" else sql.Identifier(self.name).as_string()
        return sql.SQL("{verb} {privileges} ON {kind} public.{target} {of} {role}").format(
            verb=sql.SQL(self.verb),
            privileges=sql.SQL(", ".join(sorted(self.privileges))),
            kind=sql.SQL(self.kind),
            target=sql.SQL(target),
            of=sql.SQL("TO" if self.verb == "GRANT" else "FROM"),
            role=sql.SQL("PUBLIC") if self.is_public else sql.Identifier(app_role),
        )


def declared_privileges(kind: str, name: str, is_definer: bool, columns: Collection[str]) -> frozenset[str]:
    """Returns the declared privileges of the app's role on a table with these columns, a sequence or a function."""
    if kind == "TABLE":
        of_columns = {
            f"{verb} ({each})" for verb, names in COLUMNS.get(name, {}).items() for each in names.intersection(columns)
        }
        return TABLES.get(name, frozenset()) | of_columns
    if kind == "SEQUENCE":
        return frozenset({"USAGE"} if name in SEQUENCES or _COMMUNITY_SEQUENCE.fullmatch(name) else ())
    return frozenset({"EXECUTE"} if not is_definer or name in FUNCTIONS else ())


def pending_changes(connection: psycopg.Connection, app_role: str) -> Iterator[PrivilegeChange]:
    """Yields the changes from the catalogue to the declaration, revocations first. Any role may call it."""
    rows = connection.execute(CATALOGUE.encode(), {"role": app_role}).fetchall()
    for kind, name, is_definer, is_own, of_app, of_public, columns in rows:
        if of_public:
            yield PrivilegeChange("REVOKE", frozenset(of_public), kind, name, is_public=True)
        if is_own:
            continue
        expected = declared_privileges(kind, name, is_definer, columns)
        if surplus := frozenset(of_app) - expected:
            yield PrivilegeChange("REVOKE", surplus, kind, name, is_public=False)
        if missing := expected - frozenset(of_app):
            yield PrivilegeChange("GRANT", missing, kind, name, is_public=False)


def apply(connection: psycopg.Connection, app_role: str) -> None:
    """Grants the declared privileges to the app's role, and revokes all others from it and from PUBLIC."""
    for statement in (
        "GRANT USAGE ON SCHEMA public TO {}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        # Functions that are created later can't be called by other roles until they are declared here.
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(app_role)))
    for each in list(pending_changes(connection, app_role)):
        connection.execute(each.statement(app_role))
