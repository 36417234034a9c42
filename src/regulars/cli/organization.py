"""`regulars organization`: organizations and their limits."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from regulars.auth import organizations
from regulars.auth.organizations import Organization
from regulars.cli import audit
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_table
from regulars.storage.database import Database, transaction

organization = App(
    name="organization",
    help="""Lists organizations and sets their limits. An organization is created with its first community.

    Example: `regulars organization list`
    """,
)

OptionalInt = int | None


@organization.command(name="list")
def list_(*, common: CommonOptions | None = None) -> int:
    """Lists organizations and their limits. Server defaults are in parentheses.

    Example: `regulars organization list`
    """
    defaults = asdict(load_settings(common))

    async def work(database: Database) -> list[Organization]:
        async with database.unscoped_connection() as connection:
            return await organizations.list_all(connection)

    rows = [
        [each.id, each.name, *(_cell(getattr(each, name), defaults.get(name)) for name in organizations.MAX_VALUES)]
        for each in run_with_database(common, work)
    ]
    print(format_table(("id", "name", *(name.replace("_", " ") for name in organizations.MAX_VALUES)), rows))
    return 0


def _cell(value: OptionalInt, default: object) -> str:
    if value is not None:
        return str(value)
    return "" if default is None else f"({default})"


@organization.command(name="set")
def set_(
    name: Annotated[str, Parameter(help="Name of the organization, as `regulars organization list` shows it.")],
    *,
    min_cell_size: Annotated[
        OptionalInt, Parameter(help="Smallest number of members that reports show; 0 shows every number.")
    ] = None,
    reporting_burst: Annotated[
        OptionalInt, Parameter(help="Rate limit of the Reporting API: tokens that may be spent in a burst.")
    ] = None,
    reporting_rate_per_second: Annotated[
        OptionalInt, Parameter(help="Rate limit of the Reporting API: tokens added per second.")
    ] = None,
    general_burst: Annotated[
        OptionalInt, Parameter(help="Rate limit of the Profile API: requests that may be sent in a burst.")
    ] = None,
    general_rate_per_second: Annotated[
        OptionalInt, Parameter(help="Rate limit of the Profile API: requests per second.")
    ] = None,
    common: CommonOptions | None = None,
) -> int:
    """Sets limits of an organization. 0 restores the server default.

    Limits of reports take effect with the next request, limits of the Profile API within ten seconds.

    Example: `regulars organization set "My club" --min-cell-size 5 --reporting-burst 5000`
    """
    options = {
        "min_cell_size": min_cell_size,
        "reporting_burst": reporting_burst,
        "reporting_rate_per_second": reporting_rate_per_second,
        "general_burst": general_burst,
        "general_rate_per_second": general_rate_per_second,
    }
    values = {setting: value for setting, value in options.items() if value is not None}
    if not values:
        raise UsageError("No setting given. Example: --min-cell-size 5.")
    for setting, value in values.items():
        if not 0 <= value <= organizations.MAX_VALUES[setting]:
            option = setting.replace("_", "-")
            raise UsageError(f"--{option} is {value}. Allowed: 0 to {organizations.MAX_VALUES[setting]}.")
    changes = {setting: value or None for setting, value in values.items()}

    async def work(database: Database) -> Organization | None:
        async with database.unscoped_connection() as connection, transaction(connection):
            updated = await organizations.update(connection, name, changes)
            if updated is not None:
                await audit.record(connection, updated.id, "organization set", "organization", updated.id, **changes)
            return updated

    if run_with_database(common, work) is None:
        raise UsageError(f"Organization {name!r} not found. `regulars organization list` shows the names.")
    summary = (f"{setting.replace('_', ' ')} {value or '(default)'}" for setting, value in changes.items())
    print(f"{name}: {', '.join(summary)}.")
    return 0
