"""`regulars community`: the loyalty clubs that are kept here."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import App, Parameter

from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_table
from regulars.clock import system_clock
from regulars.core.errors import NotFoundError, ValidationError
from regulars.model import community as communities
from regulars.model import member_handles
from regulars.model.community import Community, NewCommunity
from regulars.storage.database import Database

community = App(
    name="community",
    help="""Makes, changes and lists communities: loyalty clubs, each with its zone, currency and country.

    Example: `regulars community list`
    """,
)


def add_to(app: App) -> None:
    """Adds the commands."""
    app.command(community)


@community.command
def create(
    *,
    slug: Annotated[str, Parameter(help="Its short name in addresses and commands.")],
    name: Annotated[str, Parameter(help="What it is called.")],
    country: Annotated[str, Parameter(help="ISO 3166-1 code, or the English name.")],
    timezone: Annotated[str, Parameter(help="IANA name, such as Europe/Oslo.")],
    currency: Annotated[str, Parameter(help="ISO 4217 code, fixed after the first transaction.")],
    organization: Annotated[str, Parameter(help="Who runs it; its own name where not given.")] = "",
    id: Annotated[int | None, Parameter(help="Its number, else the next one.")] = None,  # noqa: A002
    customer_id: Annotated[int | None, Parameter(help="The number of its customer, else its own.")] = None,
    loyalty_club_id: Annotated[int | None, Parameter(help="The number of its club, else its own.")] = None,
    attribute: Annotated[tuple[str, ...], Parameter(help="What X-Customer may filter by, as key=value.")] = (),
    where: CommonOptions | None = None,
) -> int:
    """Makes a community.

    Example: `regulars community create --slug nord --name "Nord Club" --country NO --timezone Europe/Oslo
    --currency NOK`
    """
    attributes = {}
    for each in attribute:
        key, separator, value = each.partition("=")
        if not separator or not key:
            raise UsageError(f"--attribute {each!r} is no key=value: write it as chain=Nord.")
        attributes[key] = value
    new = NewCommunity(
        slug, name, country, timezone, currency, organization, attributes, id, customer_id, loyalty_club_id
    )

    async def work(database: Database) -> Community:
        async with database.unscoped_connection() as connection:
            return await communities.create(connection, new, system_clock())

    try:
        made = run_with_database(where, work)
    except ValidationError as refused:
        field, text = next(iter(refused.errors.items()))
        raise UsageError(f"--{field.replace('_', '-')} {text}.") from None
    print(f"The community {made.slug} has the id {made.id}.")
    return 0


@community.command(name="set")
def set_(
    slug: Annotated[str, Parameter(help="The community, as `regulars community list` shows it.")],
    *,
    member_handle: Annotated[
        tuple[str, ...], Parameter(help="A handle of identities that members may write; may be repeated.")
    ] = (),
    no_member_handles: Annotated[bool, Parameter(negative="", help="Members write no identities.")] = False,
    any_member_handle: Annotated[
        bool, Parameter(negative="", help="Members write all identities but reserved ones.")
    ] = False,
    where: CommonOptions | None = None,
) -> int:
    """Sets which identities members may write with their own tokens, from the next request on.

    Example: `regulars community set nord --member-handle app --member-handle newsletter`
    """
    if bool(member_handle) + no_member_handles + any_member_handle != 1:
        raise UsageError("Use one of --member-handle HANDLE, --no-member-handles and --any-member-handle.")

    async def work(database: Database) -> None:
        handles = None if any_member_handle else member_handles.validate(member_handle)
        async with database.unscoped_connection() as connection:
            await communities.set_member_handles(connection, slug, handles, system_clock())

    try:
        run_with_database(where, work)
    except NotFoundError as error:
        raise UsageError(str(error)) from None
    except ValidationError as refused:
        raise UsageError(f"--member-handle {next(iter(refused.errors.values()))}.") from None
    print(f"{slug}: members write {_handles(None if any_member_handle else member_handle)}.")
    return 0


def _handles(handles: Iterable[str] | None) -> str:
    return "any but reserved" if handles is None else ", ".join(sorted(handles)) or "none"


@community.command(name="list")
def list_(*, where: CommonOptions | None = None) -> int:
    """Lists the communities.

    Example: `regulars community list`
    """

    async def work(database: Database) -> list[Community]:
        async with database.unscoped_connection() as connection:
            return await communities.list_all(connection)

    rows = [
        [each.id, each.slug, each.name, each.country, each.timezone, each.currency, _handles(each.member_handles)]
        for each in run_with_database(where, work)
    ]
    print(format_table(("id", "slug", "name", "country", "timezone", "currency", "member handles"), rows))
    return 0
