"""`regulars organization`: who runs clubs here, and what holds for their reports."""

from dataclasses import asdict
from typing import Annotated

from cyclopts import App, Parameter

from regulars.auth import organizations
from regulars.auth.organizations import Organization
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_table
from regulars.storage.database import Database

organization = App(
    name="organization",
    help="""Lists organizations and sets what holds for their reports; each comes with its first community.

    Example: `regulars organization list`
    """,
)

Number = int | None


def add_to(app: App) -> None:
    """Adds the commands."""
    app.command(organization)


@organization.command(name="list")
def list_(*, where: CommonOptions | None = None) -> int:
    """Lists organizations; in brackets what is the server's own setting.

    Example: `regulars organization list`
    """
    usual = asdict(load_settings(where))

    async def work(database: Database) -> list[Organization]:
        async with database.unscoped_connection() as connection:
            return await organizations.list_all(connection)

    rows = [
        [each.id, each.name, *(_shown(getattr(each, name), usual.get(name)) for name in organizations.MAX_VALUES)]
        for each in run_with_database(where, work)
    ]
    print(format_table(("id", "name", *(name.replace("_", " ") for name in organizations.MAX_VALUES)), rows))
    return 0


def _shown(number: Number, usual: object) -> str:
    if number is not None:
        return str(number)
    return "" if usual is None else f"({usual})"


@organization.command(name="set")
def set_(
    name: Annotated[str, Parameter(help="The organization, as `regulars organization list` shows it.")],
    *,
    smallest_cell: Annotated[Number, Parameter(help="Least count of members that reports show; 0 shows all.")] = None,
    reporting_capacity: Annotated[Number, Parameter(help="Tokens that a rate limit of reports holds.")] = None,
    reporting_refill: Annotated[Number, Parameter(help="Tokens that are added to it every second.")] = None,
    general_capacity: Annotated[Number, Parameter(help="Burst of Profile API requests that it may make.")] = None,
    general_refill: Annotated[Number, Parameter(help="Profile API requests a second over time.")] = None,
    where: CommonOptions | None = None,
) -> int:
    """Sets what holds for an organization: for its reports from the next request on, for the Profile API within ten
    seconds; 0 is the server's own setting again.

    Example: `regulars organization set "My club" --smallest-cell 5 --reporting-capacity 5000 --reporting-refill 100`
    """
    given = {
        "smallest_cell": smallest_cell,
        "reporting_capacity": reporting_capacity,
        "reporting_refill": reporting_refill,
        "general_capacity": general_capacity,
        "general_refill": general_refill,
    }
    chosen = {each: number or None for each, number in given.items() if number is not None}
    if not chosen:
        raise UsageError("Say what to set, such as --smallest-cell 5.")
    for each in chosen:
        if not 0 <= (given[each] or 0) <= organizations.MAX_VALUES[each]:
            raise UsageError(f"--{each.replace('_', '-')} must be from 0 to {organizations.MAX_VALUES[each]}.")

    async def work(database: Database) -> Organization | None:
        async with database.unscoped_connection() as connection:
            return await organizations.update(connection, name, chosen)

    if run_with_database(where, work) is None:
        raise UsageError(f"There is no organization {name!r}: `regulars organization list` names them.")
    told = (f"{each.replace('_', ' ')} {chosen[each] or 'as usual'}" for each in chosen)
    print(f"{name}: {', '.join(told)}.")
    return 0
