"""`regulars community`: communities, which are loyalty clubs."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import App, Parameter

from regulars.cli.options import CommonOptions, UsageError, option_error, run_with_database
from regulars.cli.progress import format_table
from regulars.clock import system_clock
from regulars.core.errors import NotFoundError, ValidationError
from regulars.ingest import voided_statuses
from regulars.model import community as communities
from regulars.model import member_handles
from regulars.model.community import Community, NewCommunity
from regulars.storage.database import Database

community = App(
    name="community",
    help="""Creates, changes and lists communities: loyalty clubs with a time zone, a currency and a country.

    Example: `regulars community list`
    """,
)


@community.command
def create(
    *,
    slug: Annotated[str, Parameter(help="Short name for URLs and commands.")],
    name: Annotated[str, Parameter(help="Display name.")],
    country: Annotated[str, Parameter(help="Country: ISO 3166-1 code or English name.")],
    timezone: Annotated[str, Parameter(help="Time zone: IANA name, such as Europe/Oslo.")],
    currency: Annotated[
        str, Parameter(help="Currency: ISO 4217 code. It can't be changed after the first transaction.")
    ],
    organization: Annotated[
        str, Parameter(help="Name of the organization that runs it; created if it does not exist. Default: --name.")
    ] = "",
    id: Annotated[int | None, Parameter(help="Id of the community. Default: the next free id.")] = None,  # noqa: A002
    customer_id: Annotated[int | None, Parameter(help="Customer id in the Reporting API. Default: --id.")] = None,
    loyalty_club_id: Annotated[
        int | None, Parameter(help="Loyalty club id in the Reporting API. Default: --id.")
    ] = None,
    attribute: Annotated[
        tuple[str, ...], Parameter(help="Attribute that X-Customer may filter by, as key=value. May be repeated.")
    ] = (),
    common: CommonOptions | None = None,
) -> int:
    """Creates a community.

    Example: `regulars community create --slug nord --name "Nord Club" --country NO --timezone Europe/Oslo
    --currency NOK`
    """
    attributes = {}
    for each in attribute:
        key, separator, value = each.partition("=")
        if not separator or not key:
            raise UsageError(f"--attribute is {each!r}. It must be key=value, such as chain=Nord.")
        attributes[key] = value
    new = NewCommunity(
        slug, name, country, timezone, currency, organization, attributes, id, customer_id, loyalty_club_id
    )

    async def work(database: Database) -> Community:
        async with database.unscoped_connection() as connection:
            return await communities.create(connection, new, system_clock())

    try:
        created = run_with_database(common, work)
    except ValidationError as error:
        raise option_error(error) from None
    print(f"Community {created.slug} has the id {created.id}.")
    return 0


@community.command(name="set")
def set_(
    slug: Annotated[str, Parameter(help="Slug of the community, as `regulars community list` shows it.")],
    *,
    member_handle: Annotated[
        tuple[str, ...], Parameter(help="Handle of identities that members may write. May be repeated.")
    ] = (),
    no_member_handles: Annotated[bool, Parameter(negative="", help="Members may not write identities.")] = False,
    any_member_handle: Annotated[
        bool, Parameter(negative="", help="Members may write identities of every handle that is not reserved.")
    ] = False,
    void_status: Annotated[
        tuple[str, ...],
        Parameter(
            help="Status of transactions that are void, such as cancelled, in any case. May be repeated. "
            "Stored transactions are voided and restored accordingly."
        ),
    ] = (),
    no_void_statuses: Annotated[bool, Parameter(negative="", help="No status makes a transaction void.")] = False,
    provider_statuses: Annotated[
        bool | None,
        Parameter(
            help="Whether an unsubscribe, a complaint or a hard bounce that a provider reports sets the status of the member."
        ),
    ] = None,
    common: CommonOptions | None = None,
) -> int:
    """Sets which identities members may write, which statuses make transactions void, and what providers may set.

    Effective with the next request.

    Example: `regulars community set nord --member-handle app --member-handle newsletter`

    Example: `regulars community set nord --void-status cancelled --void-status refused`
    """
    has_handles = bool(member_handle) + no_member_handles + any_member_handle
    has_statuses = bool(void_status) + no_void_statuses
    if has_handles > 1 or has_statuses > 1 or (provider_statuses is None and not has_handles + has_statuses):
        raise UsageError(
            "Use one of --member-handle HANDLE, --no-member-handles and --any-member-handle, one of "
            "--void-status STATUS and --no-void-statuses, --provider-statuses or --no-provider-statuses, or several."
        )

    async def work(database: Database) -> int:
        handles = None if any_member_handle else member_handles.validate(member_handle)
        now = system_clock()
        async with database.unscoped_connection() as connection:
            community_id = (await communities.get_by_slug(connection, slug)).id
            if has_handles:
                await communities.set_member_handles(connection, slug, handles, now)
            if has_statuses:
                await communities.set_void_statuses(connection, slug, void_status, now)
            if provider_statuses is not None:
                await communities.set_provider_statuses(connection, slug, provider_statuses, now)
        return await voided_statuses.apply(database, community_id)

    try:
        changed = run_with_database(common, work)
    except NotFoundError as error:
        raise UsageError(str(error)) from None
    except ValidationError as error:
        option = "--void-status" if "void_statuses" in error.errors else "--member-handle"
        raise UsageError(f"{option} {next(iter(error.errors.values()))}.") from None
    if has_handles:
        print(f"{slug}: members may write {_format_handles(None if any_member_handle else member_handle)}.")
    if has_statuses:
        statuses = ", ".join(void_status) or "no status"
        print(f"{slug}: transactions are void with {statuses}. Changed: {changed:,} transactions.")
    if provider_statuses is not None:
        print(f"{slug}: providers {'set' if provider_statuses else 'do not set'} the statuses of members.")
    return 0


def _format_handles(handles: Iterable[str] | None) -> str:
    return "any handle that is not reserved" if handles is None else ", ".join(sorted(handles)) or "no identities"


@community.command(name="list")
def list_(*, common: CommonOptions | None = None) -> int:
    """Lists the communities.

    Example: `regulars community list`
    """

    async def work(database: Database) -> list[Community]:
        async with database.unscoped_connection() as connection:
            return await communities.list_all(connection)

    rows = [
        [
            each.id,
            each.slug,
            each.name,
            each.country,
            each.timezone,
            each.currency,
            _format_handles(each.member_handles),
        ]
        for each in run_with_database(common, work)
    ]
    print(format_table(("id", "slug", "name", "country", "timezone", "currency", "member handles"), rows))
    return 0
