"""The privileges of the app's role: on each table and sequence, and on the functions that run as the owner."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import psycopg
from psycopg import sql

_READ = frozenset({"SELECT"})
_APPENDED = _READ | {"INSERT"}
_UPDATED = _APPENDED | {"UPDATE"}
_REPLACED = _APPENDED | {"DELETE"}
_CHANGED = _UPDATED | {"DELETE"}

TABLES: Mapping[str, frozenset[str]] = {
    # Shared by all communities: no more than is needed, and a change by a function of the owner where there is one.
    "schema_migrations": _READ,
    "organizations": _APPENDED,
    "communities": _APPENDED,
    "tokens": _APPENDED,
    "signing_keys": _APPENDED,
    "rate_limits": _UPDATED,
    "webhook_replay_guard": _CHANGED,
    "procrastinate_events": _UPDATED,
    "procrastinate_jobs": _CHANGED,
    "procrastinate_periodic_defers": _CHANGED,
    "procrastinate_workers": _CHANGED,
    # Facts of a community, under row-level security.
    "addresses": _CHANGED,
    "brands": _UPDATED,
    "identities": _CHANGED,
    "import_batches": _APPENDED,
    "link_visits": _CHANGED,
    "links": _REPLACED,
    "locations": _UPDATED,
    "memberships": _CHANGED,
    "offer_collections": _UPDATED,
    "offer_events": _CHANGED,
    "offers": _UPDATED,
    "product_variants": _UPDATED,
    "products": _UPDATED,
    "profiles": _CHANGED,
    "providers": _CHANGED,
    "sending_events": _REPLACED,
    "sendings": _UPDATED,
    "transaction_claims": _CHANGED,
    "transaction_items": _CHANGED,
    "transactions": _CHANGED,
    "webhooks": _CHANGED,
    # Data derived from facts, and data stored of requests.
    "profile_aggregations": _CHANGED,
    "balance_deltas": _REPLACED,
    "balance_rollups": _CHANGED,
    "commit_markers": _APPENDED,
    "cache_versions": _UPDATED,
    "fold_marks": _UPDATED,
    "group_counts": _CHANGED,
    "group_deltas": _REPLACED,
    "group_rollups": _CHANGED,
    "idempotency_keys": _UPDATED,
    "link_rollups": _CHANGED,
    "link_visitors": _CHANGED,
    "member_states": _REPLACED,
    "members": _CHANGED,
    "membership_events": _CHANGED,
    "offer_rollups": _CHANGED,
    "outbox": _REPLACED,
    "purchase_changes": _REPLACED,
    "purchase_marks": _CHANGED,
    "purchase_rollups": _CHANGED,
    "purchases": _CHANGED,
    "recipient_rollups": _CHANGED,
    "rollup_timezones": _UPDATED,
    "sending_daily_uniques": _UPDATED,
    "sending_dispatches": _CHANGED,
    "sending_rollups": _CHANGED,
    "snapshot_counts": _CHANGED,
    "snapshot_marks": _UPDATED,
    "snapshot_members": _CHANGED,
    "snapshot_rollups": _CHANGED,
    "snapshot_runs": _UPDATED,
    "unique_sets": _CHANGED,
}
"""By table. One that is not named here has none: partitions are reached through their table."""

COLUMNS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "communities": {
        "UPDATE": frozenset(
            {
                "attributes",
                "country",
                "currency",
                "customer_id",
                "loyalty_club_id",
                "member_handles",
                "minor_digits",
                "name",
                "timezone",
                "updated_at",
            }
        )
    }
}
"""By table and privilege: the columns that it is limited to."""

SEQUENCES = frozenset(
    {
        "communities_id_seq",
        "procrastinate_events_id_seq",
        "procrastinate_jobs_id_seq",
        "procrastinate_periodic_defers_id_seq",
    }
)
"""The sequences that statements or serial columns draw from; identity columns need no privilege."""

_OF_COMMUNITY = re.compile(r"(row|member|location)_ids_\d+")
"""The sequences that number the rows of a community."""

FUNCTIONS = frozenset(
    {
        "add_location_ids()",
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
"""The SECURITY DEFINER functions that it may call. Functions that run as their caller give no privilege."""

# Objects of the owner of our tables that are not part of an extension; PUBLIC is grantee 0. A role's privileges on its
# own objects are left alone, because its functions need them.
_FOUND = """
WITH ours AS (
    SELECT relowner AS owner FROM pg_class WHERE oid = to_regclass('public.organizations')
),
app AS (
    SELECT oid FROM pg_roles WHERE rolname = $role
),
things AS (
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
held AS (
    SELECT t.oid, x.grantee, x.privilege_type::text AS privilege
    FROM things AS t
    CROSS JOIN LATERAL aclexplode(t.acl) AS x
    UNION ALL
    SELECT a.attrelid, x.grantee, format('%s (%I)', x.privilege_type, a.attname)
    FROM pg_attribute AS a
    CROSS JOIN LATERAL aclexplode(a.attacl) AS x
    WHERE a.attnum > 0 AND NOT a.attisdropped
)
SELECT t.kind, t.name, t.is_definer, t.owner = coalesce((SELECT oid FROM app), 0) AS is_own,
       ARRAY(
           SELECT h.privilege FROM held AS h WHERE h.oid = t.oid AND h.grantee = (SELECT oid FROM app)
       ) AS of_app,
       ARRAY(SELECT h.privilege FROM held AS h WHERE h.oid = t.oid AND h.grantee = 0) AS of_public,
       ARRAY(SELECT a.attname::text FROM pg_attribute AS a WHERE t.kind = 'TABLE' AND a.attrelid = t.oid) AS columns
FROM things AS t
WHERE t.owner = (SELECT owner FROM ours)
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = t.oid AND d.deptype = 'e')
ORDER BY t.kind, t.name
""".replace("%", "%%").replace("$role", "%(role)s")


@dataclass(frozen=True, slots=True)
class PrivilegeChange:
    """Privileges that a role lacks or should not have on one table, sequence or function."""

    verb: str
    privileges: frozenset[str]
    kind: str
    name: str
    is_public: bool

    def statement(self, app_role: str) -> sql.Composed:
        """The statement that corrects it."""
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
    """The declared privileges of the app's role on a table of these columns, a sequence or a function."""
    if kind == "TABLE":
        of_columns = {
            f"{verb} ({each})" for verb, names in COLUMNS.get(name, {}).items() for each in names.intersection(columns)
        }
        return TABLES.get(name, frozenset()) | of_columns
    if kind == "SEQUENCE":
        return frozenset({"USAGE"} if name in SEQUENCES or _OF_COMMUNITY.fullmatch(name) else ())
    return frozenset({"EXECUTE"} if not is_definer or name in FUNCTIONS else ())


def pending_changes(connection: psycopg.Connection, app_role: str) -> Iterator[PrivilegeChange]:
    """Differences between the catalogue and the declaration, revocations first for each object; any role may look."""
    rows = connection.execute(_FOUND.encode(), {"role": app_role}).fetchall()
    for kind, name, is_definer, is_own, of_app, of_public, columns in rows:
        if of_public:
            yield PrivilegeChange("REVOKE", frozenset(of_public), kind, name, is_public=True)
        if is_own:
            continue
        wanted = declared_privileges(kind, name, is_definer, columns)
        if surplus := frozenset(of_app) - wanted:
            yield PrivilegeChange("REVOKE", surplus, kind, name, is_public=False)
        if lacking := wanted - frozenset(of_app):
            yield PrivilegeChange("GRANT", lacking, kind, name, is_public=False)


def apply(connection: psycopg.Connection, app_role: str) -> None:
    """Grants the app's role what is declared, and revokes everything else from it and from PUBLIC."""
    for statement in (
        "GRANT USAGE ON SCHEMA public TO {}",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
        # A function that is created later may be called by no other role until it is declared here.
        "ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC",
    ):
        connection.execute(sql.SQL(statement).format(sql.Identifier(app_role)))
    for each in list(pending_changes(connection, app_role)):
        connection.execute(each.statement(app_role))
