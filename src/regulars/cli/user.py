"""`regulars user`: people who sign in to the pages."""

import sys
from datetime import datetime
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.auth import passwords, roles, users
from regulars.auth.roles import NewRole, Role
from regulars.auth.users import NewUser, User
from regulars.cli import audit
from regulars.cli.options import CommonOptions, UsageError, option_error, run_with_database
from regulars.cli.progress import format_table
from regulars.cli.tenants import find_organization
from regulars.core.errors import ValidationError
from regulars.storage.database import Database

user = App(
    name="user",
    help="""Creates and lists the people who sign in, and resets their passwords.

    Example: `regulars user create --organization CDNOW --email ada@cdnow.example --name Ada`
    """,
)

_PRESETS = {each.name.lower(): each for each in (roles.ADMINISTRATOR, roles.ANALYST, roles.MARKETER)}


@user.command
def create(
    *,
    organization: Annotated[str, Parameter(help="Name of the organization.")],
    email: Annotated[str, Parameter(help="E-mail address to sign in with.")],
    name: Annotated[str, Parameter(help="Name to show. Default: the e-mail address.")] = "",
    role: Annotated[
        str, Parameter(help="Name of a role. Administrator, Analyst and Marketer are created if they are missing.")
    ] = roles.ADMINISTRATOR.name,
    common: CommonOptions | None = None,
) -> int:
    """Creates a user and prints a password. It can't be printed again, because only its hash is stored.

    Example: `regulars user create --organization CDNOW --email ada@cdnow.example --role Marketer`
    """
    password = passwords.generate()

    async def work(database: Database) -> User:
        async with database.unscoped_connection() as connection:
            organization_id = await find_organization(connection, organization)
        async with database.organization_transaction(organization_id) as connection:
            now = database.clock()
            new = NewUser(
                email,
                name or email,
                (await find_or_create_role(connection, organization_id, role, now)).id,
                passwords.hash_password(password),
            )
            created = await users.create(connection, organization_id, new, now)
            await audit.record(connection, organization_id, "user create", "user", created.id, role=role)
            return created

    try:
        run_with_database(common, work)
    except ValidationError as error:
        raise option_error(error) from None
    print(password)
    sys.stderr.write("Store this password now. It can't be shown again; the user can change it after signing in.\n")
    return 0


@user.command(name="list")
def list_(
    *, organization: Annotated[str, Parameter(help="Name of the organization.")], common: CommonOptions | None = None
) -> int:
    """Lists the users of an organization.

    Example: `regulars user list --organization CDNOW`
    """

    async def work(database: Database) -> tuple[list[User], dict[int, Role]]:
        async with database.unscoped_connection() as connection:
            organization_id = await find_organization(connection, organization)
        async with database.organization_transaction(organization_id) as connection:
            by_id = {each.id: each for each in await roles.list_all(connection, organization_id)}
            return await users.list_all(connection, organization_id), by_id

    found, by_id = run_with_database(common, work)
    rows = [
        (
            each.email,
            each.name,
            by_id[each.role_id].name,
            _day(each.signed_in_at),
            "active" if each.is_active else "deactivated",
        )
        for each in found
    ]
    print(format_table(("email", "name", "role", "last sign-in", "state"), rows))
    return 0


@user.command(name="reset-password")
def reset_password(
    *, email: Annotated[str, Parameter(help="E-mail address of the user.")], common: CommonOptions | None = None
) -> int:
    """Prints a new password of a user and ends the user's sessions.

    Example: `regulars user reset-password --email ada@cdnow.example`
    """
    password = passwords.generate()

    async def work(database: Database) -> None:
        found = await _find_user(database, email)
        async with database.organization_transaction(found.organization_id) as connection:
            hashed = passwords.hash_password(password)
            await users.set_password(connection, found.organization_id, found.id, hashed, database.clock())
            await audit.record(connection, found.organization_id, "user reset-password", "user", found.id)

    run_with_database(common, work)
    print(password)
    return 0


@user.command
def deactivate(
    *, email: Annotated[str, Parameter(help="E-mail address of the user.")], common: CommonOptions | None = None
) -> int:
    """Ends the sessions of a user, who can't sign in any more.

    Example: `regulars user deactivate --email ada@cdnow.example`
    """

    async def work(database: Database) -> None:
        found = await _find_user(database, email)
        async with database.organization_transaction(found.organization_id) as connection:
            await users.set_active(connection, found.organization_id, found.id, database.clock(), is_active=False)
            await audit.record(connection, found.organization_id, "user deactivate", "user", found.id)

    run_with_database(common, work)
    print(f"{users.normalize_email(email)} is deactivated.")
    return 0


async def find_or_create_role(connection: Any, organization_id: int, name: str, now: datetime) -> Role:
    """Returns the role with this name; creates it if it is one of the presets. Raises UsageError for another name."""
    preset: NewRole | None = _PRESETS.get(name.lower())
    found = await roles.find_by_name(connection, organization_id, name if preset is None else preset.name)
    if found is not None:
        return found
    if preset is None:
        known = sorted(
            {each.name for each in await roles.list_all(connection, organization_id)}
            | {each.name for each in _PRESETS.values()}
        )
        raise UsageError(f"Role {name!r} not found. Allowed: {', '.join(known)}.")
    return await roles.create(connection, organization_id, preset, now)


async def _find_user(database: Database, email: str) -> User:
    try:
        normalized = users.normalize_email(email)
    except ValidationError as error:
        raise option_error(error) from None
    async with database.unscoped_connection() as connection:
        found = await users.find_by_email(connection, normalized)
    if found is None:
        raise UsageError(f"User {email!r} not found. `regulars user list` shows the users of an organization.")
    return found


def _day(instant: datetime | None) -> str:
    return "never" if instant is None else f"{instant:%Y-%m-%d %H:%M}"
