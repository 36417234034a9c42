"""Safety checks: unsafe versions, roles and tables are reported with what to do about them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from postgres_servers import on_both_servers
from regulars.storage import safety
from regulars.storage.database import Database
from regulars.storage.safety import SafetyFinding, UnsafeDatabaseError, check_version


@pytest.mark.parametrize(
    ("version", "fatal", "message"),
    [
        (140_020, True, "PostgreSQL 14 is too old. Use 15 or later."),
        (150_013, True, "PostgreSQL 15.13 has known vulnerabilities in row-level security. Update to 15.18 or later."),
        (160_009, True, "PostgreSQL 16.9 has known vulnerabilities in row-level security. Update to 16.14 or later."),
        (170_005, True, "PostgreSQL 17.5 has known vulnerabilities in row-level security. Update to 17.10 or later."),
        (150_014, False, "PostgreSQL 15.14 has known vulnerabilities. Update to 15.18 or later."),
        (160_010, False, "PostgreSQL 16.10 has known vulnerabilities. Update to 16.14 or later."),
        (170_009, False, "PostgreSQL 17.9 has known vulnerabilities. Update to 17.10 or later."),
        (180_003, False, "PostgreSQL 18.3 has known vulnerabilities. Update to 18.4 or later."),
    ],
)
def test_an_old_version_is_reported(version: int, fatal: bool, message: str) -> None:
    assert check_version(version) == [SafetyFinding(message, fatal=fatal)]


@pytest.mark.parametrize("version", [150_018, 160_014, 170_010, 180_004, 190_000])
def test_a_version_without_known_vulnerabilities_is_safe(version: int) -> None:
    assert check_version(version) == []


@on_both_servers
async def test_the_app_s_own_role_is_safe(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        assert [each for each in await safety.check(connection) if each.fatal] == []
        assert await safety.require_safe(connection) == await safety.check(connection)


@asynccontextmanager
async def as_owner(urls: tuple[str, str]) -> AsyncIterator[Any]:
    """Yields a connection of the owner in a transaction that is rolled back."""
    connection = await asyncpg.connect(urls[0])
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def fatal_messages(connection: Any) -> list[str]:
    """Returns the messages of fatal problems."""
    return [each.message for each in await safety.check(connection) if each.fatal]


async def test_a_superuser_is_fatal(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        (message,) = await fatal_messages(connection)
        assert message.startswith(
            "The role postgres is a superuser, so row-level security does not isolate communities."
        )
        assert "REGULARS_DATABASE_URL" in message
        with pytest.raises(UnsafeDatabaseError, match="is a superuser"):
            await safety.require_safe(connection)


async def test_a_role_that_bypasses_row_level_security_is_fatal(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute("CREATE ROLE passing BYPASSRLS; SET LOCAL ROLE passing")
        (message,) = await fatal_messages(connection)
        assert message.startswith("The role passing has BYPASSRLS")


@pytest.mark.parametrize("attribute", ["SUPERUSER", "BYPASSRLS"])
async def test_a_role_that_can_switch_to_an_unsafe_role_is_fatal(
    attribute: str, database_urls: tuple[str, str]
) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute(
            f"CREATE ROLE privileged {attribute}; CREATE ROLE member IN ROLE privileged; CREATE ROLE app IN ROLE member;"
            "SET LOCAL ROLE app"
        )
        assert await fatal_messages(connection) == [
            "The role app can switch to privileged, which bypasses row-level security: REVOKE privileged FROM app;"
        ]


@pytest.mark.parametrize("option", ["", "ENABLE", "FORCE"])
async def test_a_table_without_forced_row_level_security_is_fatal(option: str, database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute("CREATE TABLE leaking (community_id int)")
        if option:
            await connection.execute(f"ALTER TABLE leaking {option} ROW LEVEL SECURITY")
        await connection.execute(f"SET LOCAL ROLE {safety_role(database_urls)}")
        assert await fatal_messages(connection) == [
            "The table leaking has no forced row-level security. Run `regulars migrate`."
        ]


async def test_a_role_that_owns_tables_is_a_warning(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute(
            "CREATE ROLE owning; GRANT CREATE ON SCHEMA public TO owning; SET LOCAL ROLE owning;"
            "CREATE TABLE owned (id int)"
        )
        warnings = [each.message for each in await safety.require_safe(connection)]
        assert [each for each in warnings if each.startswith("The role owning owns tables")]


def safety_role(urls: tuple[str, str]) -> str:
    """Returns the app's role."""
    from regulars.storage.migrate import role_of

    return role_of(urls[1])


async def test_a_server_without_synchronous_commit_is_fatal(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        role = safety_role(database_urls)
        await connection.execute(f"SET LOCAL ROLE {role}; SET LOCAL synchronous_commit = off")
        (message,) = await fatal_messages(connection)
        assert message.startswith("synchronous_commit is off")
        assert message.endswith(f"ALTER ROLE {role} SET synchronous_commit = on;")
