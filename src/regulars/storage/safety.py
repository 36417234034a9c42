"""What must be true of a database before members' data go in: its version, the app's role, isolation by row."""

from dataclasses import dataclass
from typing import Any

MIN_MAJOR_VERSION = 15

# Below these, row-level security itself can be passed by (CVE-2024-10976, CVE-2025-8713):
# https://www.postgresql.org/support/security/
ROW_SECURITY_FIXED_IN = {15: 14, 16: 10, 17: 6}

# Below these, other known holes are open (fixed on 2026-05-14).
VULNERABILITIES_FIXED_IN = {15: 18, 16: 14, 17: 10, 18: 4}


class UnsafeDatabaseError(RuntimeError):
    """The database must not be used as it is; the message says why and what to do."""


@dataclass(frozen=True)
class SafetyFinding:
    """One thing that is unsafe; `fatal` ones stop the server from starting."""

    message: str
    fatal: bool


def check_version(version_number: int) -> list[SafetyFinding]:
    """What is known against a server's version, given as PostgreSQL's server_version_num (180004 is 18.4)."""
    major, minor = divmod(version_number, 10_000)
    if major < MIN_MAJOR_VERSION:
        return [SafetyFinding(f"PostgreSQL {major} is too old: use {MIN_MAJOR_VERSION} or later.", fatal=True)]
    if minor < ROW_SECURITY_FIXED_IN.get(major, 0):
        wanted = f"{major}.{VULNERABILITIES_FIXED_IN[major]}"
        return [
            SafetyFinding(
                f"PostgreSQL {major}.{minor} has known holes in row-level security: update to {wanted} or later.",
                fatal=True,
            )
        ]
    if minor < VULNERABILITIES_FIXED_IN.get(major, 0):
        wanted = f"{major}.{VULNERABILITIES_FIXED_IN[major]}"
        return [
            SafetyFinding(
                f"PostgreSQL {major}.{minor} has known security holes: update to {wanted} or later.", fatal=False
            )
        ]
    return []


_ROLE = """
SELECT rolname, rolsuper, rolbypassrls
FROM pg_roles
WHERE rolname = current_user
"""

# Roles that this one may become count as well: SET ROLE is one statement away.
_REACHABLE = """
SELECT rolname
FROM pg_roles
WHERE (rolsuper OR rolbypassrls) AND rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER')
ORDER BY rolname
"""

_OPEN_TABLES = """
SELECT c.relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'community_id' AND NOT a.attisdropped
WHERE n.nspname = current_schema()
  AND c.relkind IN ('r', 'p')
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname
"""

# A write that was acknowledged must survive a crash.
_DURABILITY = "SELECT current_setting('synchronous_commit')"

_OWNS = """
SELECT count(*)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER')
"""

_CREATE_ROLE = "CREATE ROLE regulars_app LOGIN PASSWORD '...' NOSUPERUSER NOBYPASSRLS;"


async def check(connection: Any) -> list[SafetyFinding]:
    """Everything that is unsafe about the server and the role behind a connection."""
    number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    found = check_version(number)
    role = await connection.fetchrow(_ROLE)
    if role["rolsuper"] or role["rolbypassrls"]:
        power = "is a superuser" if role["rolsuper"] else "has BYPASSRLS"
        found.append(
            SafetyFinding(
                f"The role {role['rolname']} {power}, so the database would not keep customers apart. "
                f"Make one that can't ({_CREATE_ROLE}), put it into REGULARS_DATABASE_URL, and the "
                f"owner of the tables into REGULARS_MIGRATION_DATABASE_URL.",
                fatal=True,
            )
        )
    found.extend(
        SafetyFinding(
            f"The role {role['rolname']} may become {row['rolname']}, which passes row-level security: "
            f"REVOKE {row['rolname']} FROM {role['rolname']};",
            fatal=True,
        )
        for row in await connection.fetch(_REACHABLE)
        if not role["rolsuper"]
    )
    found.extend(
        SafetyFinding(
            f"The table {row['relname']} has no forced row-level security: run `regulars migrate`.", fatal=True
        )
        for row in await connection.fetch(_OPEN_TABLES)
    )
    if await connection.fetchval(_DURABILITY) == "off":
        found.append(
            SafetyFinding(
                f"synchronous_commit is off, so a write that was reported as stored may be lost in a crash: "
                f"ALTER ROLE {role['rolname']} SET synchronous_commit = on;",
                fatal=True,
            )
        )
    if not role["rolsuper"] and await connection.fetchval(_OWNS):
        found.append(
            SafetyFinding(
                f"The role {role['rolname']} owns tables, so SQL that runs as it can turn row-level security off: name "
                f"the owner in REGULARS_MIGRATION_DATABASE_URL, and a role that owns nothing in REGULARS_DATABASE_URL "
                f"({_CREATE_ROLE}).",
                fatal=False,
            )
        )
    return found


async def require_safe(connection: Any) -> list[SafetyFinding]:
    """The findings that are no reason to stop. Raises UnsafeDatabaseError on the first that is."""
    found = await check(connection)
    for each in found:
        if each.fatal:
            raise UnsafeDatabaseError(each.message)
    return found
