"""Safety checks of a database before personal data is stored: version, role, row-level security, durability."""

from dataclasses import dataclass
from typing import Any

MIN_MAJOR_VERSION = 15

# Older minor versions have vulnerabilities in row-level security (CVE-2024-10976, CVE-2025-8713):
# https://www.postgresql.org/support/security/
ROW_SECURITY_FIXED_IN = {15: 14, 16: 10, 17: 6}

# Older minor versions have other known vulnerabilities (fixed on 2026-05-14).
VULNERABILITIES_FIXED_IN = {15: 18, 16: 14, 17: 10, 18: 4}


class UnsafeDatabaseError(RuntimeError):
    """The database is not safe to use. The message says why and what to do."""


@dataclass(frozen=True)
class SafetyFinding:
    """A safety problem; a `fatal` one keeps the server from starting."""

    message: str
    fatal: bool


def check_version(version_number: int) -> list[SafetyFinding]:
    """Checks a version in the form of server_version_num (180004 is 18.4)."""
    major, minor = divmod(version_number, 10_000)
    if major < MIN_MAJOR_VERSION:
        return [SafetyFinding(f"PostgreSQL {major} is too old. Use {MIN_MAJOR_VERSION} or later.", fatal=True)]
    if minor < ROW_SECURITY_FIXED_IN.get(major, 0):
        fixed = f"{major}.{VULNERABILITIES_FIXED_IN[major]}"
        return [
            SafetyFinding(
                f"PostgreSQL {major}.{minor} has known vulnerabilities in row-level security. Update to {fixed} or later.",
                fatal=True,
            )
        ]
    if minor < VULNERABILITIES_FIXED_IN.get(major, 0):
        fixed = f"{major}.{VULNERABILITIES_FIXED_IN[major]}"
        return [
            SafetyFinding(
                f"PostgreSQL {major}.{minor} has known vulnerabilities. Update to {fixed} or later.", fatal=False
            )
        ]
    return []


_ROLE = """
SELECT rolname, rolsuper, rolbypassrls
FROM pg_roles
WHERE rolname = current_user
"""

# Roles that this role can switch to (SET ROLE) count as well.
_INHERITABLE_ROLES = """
SELECT rolname
FROM pg_roles
WHERE (rolsuper OR rolbypassrls) AND rolname <> current_user AND pg_has_role(current_user, oid, 'MEMBER')
ORDER BY rolname
"""

_UNPROTECTED_TABLES = """
SELECT c.relname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attname = 'community_id' AND NOT a.attisdropped
WHERE n.nspname = current_schema()
  AND c.relkind IN ('r', 'p')
  AND NOT (c.relrowsecurity AND c.relforcerowsecurity)
ORDER BY c.relname
"""

# An acknowledged write must survive a crash.
_SYNCHRONOUS_COMMIT = "SELECT current_setting('synchronous_commit')"

_OWNED_TABLES = """
SELECT count(*)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER')
"""

_CREATE_ROLE = "CREATE ROLE regulars_app LOGIN PASSWORD '...' NOSUPERUSER NOBYPASSRLS;"


async def check(connection: Any) -> list[SafetyFinding]:
    """Returns the safety problems of the server and the role of a connection."""
    number = int(await connection.fetchval("SELECT current_setting('server_version_num')"))
    found = check_version(number)
    role = await connection.fetchrow(_ROLE)
    if role["rolsuper"] or role["rolbypassrls"]:
        privilege = "is a superuser" if role["rolsuper"] else "has BYPASSRLS"
        found.append(
            SafetyFinding(
                f"The role {role['rolname']} {privilege}, so row-level security does not isolate communities. Create another "
                f"role ({_CREATE_ROLE}) for REGULARS_DATABASE_URL, and set REGULARS_MIGRATION_DATABASE_URL to the owner "
                f"of the tables.",
                fatal=True,
            )
        )
    found.extend(
        SafetyFinding(
            f"The role {role['rolname']} can switch to {row['rolname']}, which bypasses row-level security: "
            f"REVOKE {row['rolname']} FROM {role['rolname']};",
            fatal=True,
        )
        for row in await connection.fetch(_INHERITABLE_ROLES)
        if not role["rolsuper"]
    )
    found.extend(
        SafetyFinding(
            f"The table {row['relname']} has no forced row-level security. Run `regulars migrate`.", fatal=True
        )
        for row in await connection.fetch(_UNPROTECTED_TABLES)
    )
    if await connection.fetchval(_SYNCHRONOUS_COMMIT) == "off":
        found.append(
            SafetyFinding(
                f"synchronous_commit is off, so a crash may lose acknowledged writes: "
                f"ALTER ROLE {role['rolname']} SET synchronous_commit = on;",
                fatal=True,
            )
        )
    if not role["rolsuper"] and await connection.fetchval(_OWNED_TABLES):
        found.append(
            SafetyFinding(
                f"The role {role['rolname']} owns tables and can disable their row-level security. Set "
                f"REGULARS_MIGRATION_DATABASE_URL to the owner, and REGULARS_DATABASE_URL to a role that owns nothing "
                f"({_CREATE_ROLE}).",
                fatal=False,
            )
        )
    return found


async def require_safe(connection: Any) -> list[SafetyFinding]:
    """Raises UnsafeDatabaseError for the first fatal problem; returns the other problems."""
    found = await check(connection)
    for each in found:
        if each.fatal:
            raise UnsafeDatabaseError(each.message)
    return found
