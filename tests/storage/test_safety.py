"""What members' data must not be put into is said, with what to do about it."""

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
        (140_020, True, "PostgreSQL 14 is too old: use 15 or later."),
        (150_013, True, "PostgreSQL 15.13 has known holes in row-level security: update to 15.18 or later."),
        (160_009, True, "PostgreSQL 16.9 has known holes in row-level security: update to 16.14 or later."),
        (170_005, True, "PostgreSQL 17.5 has known holes in row-level security: update to 17.10 or later."),
        (150_014, False, "PostgreSQL 15.14 has known security holes: update to 15.18 or later."),
        (160_010, False, "PostgreSQL 16.10 has known security holes: update to 16.14 or later."),
        (170_009, False, "PostgreSQL 17.9 has known security holes: update to 17.10 or later."),
        (180_003, False, "PostgreSQL 18.3 has known security holes: update to 18.4 or later."),
    ],
)
def test_an_old_server_is_told_of(version: int, fatal: bool, message: str) -> None:
    assert check_version(version) == [SafetyFinding(message, fatal=fatal)]


@pytest.mark.parametrize("version", [150_018, 160_014, 170_010, 180_004, 190_000])
def test_a_server_without_known_holes_is_fine(version: int) -> None:
    assert check_version(version) == []


@on_both_servers
async def test_the_app_s_own_role_is_safe(database: Database) -> None:
    async with database.unscoped_connection() as connection:
        assert [each for each in await safety.check(connection) if each.fatal] == []
        assert await safety.require_safe(connection) == await safety.check(connection)


@asynccontextmanager
async def as_owner(urls: tuple[str, str]) -> AsyncIterator[Any]:
    """A connection of the owner; nothing that is done stays."""
    connection = await asyncpg.connect(urls[0])
    transaction = connection.transaction()
    await transaction.start()
    try:
        yield connection
    finally:
        await transaction.rollback()
        await connection.close()


async def fatal(connection: Any) -> list[str]:
    """What is said against a connection."""
    return [each.message for each in await safety.check(connection) if each.fatal]


async def test_a_superuser_does_not_serve(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        (message,) = await fatal(connection)
        assert message.startswith("The role postgres is a superuser, so the database would not keep customers apart.")
        assert "REGULARS_DATABASE_URL" in message
        with pytest.raises(UnsafeDatabaseError, match="is a superuser"):
            await safety.require_safe(connection)


async def test_a_role_that_passes_row_level_security_does_not_serve(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute("CREATE ROLE passing BYPASSRLS; SET LOCAL ROLE passing")
        (message,) = await fatal(connection)
        assert message.startswith("The role passing has BYPASSRLS")


@pytest.mark.parametrize("power", ["SUPERUSER", "BYPASSRLS"])
async def test_a_role_that_may_become_one_that_passes_does_not_serve(
    power: str, database_urls: tuple[str, str]
) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute(
            f"CREATE ROLE mighty {power}; CREATE ROLE between IN ROLE mighty; CREATE ROLE meek IN ROLE between;"
            "SET LOCAL ROLE meek"
        )
        assert await fatal(connection) == [
            "The role meek may become mighty, which passes row-level security: REVOKE mighty FROM meek;"
        ]


@pytest.mark.parametrize("secured", ["", "ENABLE", "FORCE"])
async def test_a_table_that_keeps_communities_apart_in_part_only_is_found(
    secured: str, database_urls: tuple[str, str]
) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute("CREATE TABLE leaking (community_id int)")
        if secured:
            await connection.execute(f"ALTER TABLE leaking {secured} ROW LEVEL SECURITY")
        await connection.execute(f"SET LOCAL ROLE {safety_role(database_urls)}")
        assert await fatal(connection) == [
            "The table leaking has no forced row-level security: run `regulars migrate`."
        ]


async def test_a_role_that_owns_tables_serves_with_a_warning(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        await connection.execute(
            "CREATE ROLE owning; GRANT CREATE ON SCHEMA public TO owning; SET LOCAL ROLE owning;"
            "CREATE TABLE owned (id int)"
        )
        warnings = [each.message for each in await safety.require_safe(connection)]
        assert [each for each in warnings if each.startswith("The role owning owns tables")]


def safety_role(urls: tuple[str, str]) -> str:
    """The app's role."""
    from regulars.storage.migrate import role_of

    return role_of(urls[1])


async def test_a_server_that_loses_commits_in_a_crash_does_not_serve(database_urls: tuple[str, str]) -> None:
    async with as_owner(database_urls) as connection:
        role = safety_role(database_urls)
        await connection.execute(f"SET LOCAL ROLE {role}; SET LOCAL synchronous_commit = off")
        (message,) = await fatal(connection)
        assert message.startswith("synchronous_commit is off")
        assert message.endswith(f"ALTER ROLE {role} SET synchronous_commit = on;")
