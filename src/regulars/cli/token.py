"""`regulars token`: the tokens of the API, and what each of them may do."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.auth import permits, tokens
from regulars.auth.tokens import Token
from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_table
from regulars.clock import system_clock
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.profiles import lookup
from regulars.reports.registry import REPORTS
from regulars.storage.database import Database

token = App(
    name="token",
    help="""Creates, lists, rotates and revokes the tokens of the API.

    Example: `regulars token create --community cdnow`
    """,
)


def add_to(app: App) -> None:
    """Adds the commands."""
    app.command(token)


@token.command
def create(
    *,
    organization: Annotated[
        str | None, Parameter(help="Whose token it is; that of the community if one is named.")
    ] = None,
    customers: Annotated[str, Parameter(help="`all`, or the slugs of its communities with commas.")] = "all",
    permit: Annotated[tuple[str, ...], Parameter(help="What it may do, and nothing else; may end in *.")] = (),
    community: Annotated[str | None, Parameter(help="Binds it to one community, for the Profile API.")] = None,
    member: Annotated[
        str | None, Parameter(help="Binds it to one profile, by its id or external id: it reaches no other.")
    ] = None,
    name: Annotated[str, Parameter(help="What it is for.")] = "",
    days: Annotated[float | None, Parameter(help="How long it holds; for ever where not given.")] = None,
    where: CommonOptions | None = None,
) -> int:
    """Creates a token and prints it, this once: only its hash is stored.

    A token of a community without --permit may do everything in the Profile API, and nothing in the Reporting API. With
    --permit it may do exactly what is named, such as Profile:Read, Transaction:Write or Import:Write.

    Reports need the permit Reporting:Api:Query, and each report its own, such as
    Reporting:Api:Report:MembersGroupedCount; exports need Reporting:Api:Export, those over all customers
    Reporting:Api:TenantsExport.

    A till: `regulars token create --community cdnow --permit Profile:Read --permit Transaction:Write`

    Example: `regulars token create --organization CDNOW --permit 'Reporting:*'`

    One report, of two communities: `regulars token create --organization "Mall" --customers nord,syd
    --permit Reporting:Api:Query --permit Reporting:Api:Report:MembersGroupedCount`
    """
    _check(permit)
    if permit and community is None and not any(permits.has_permit(permit, each) for each in _REPORTING):
        raise UsageError(f"The permit {permit[0]} is of the Profile API: name the community by --community SLUG.")

    async def work(database: Database) -> str:
        now = system_clock()
        async with database.unscoped_connection() as connection:
            bound = None if community is None else await communities.get_by_slug(connection, community)
            new = tokens.NewToken(
                organization_id=await _organization(connection, organization, bound),
                name=name,
                permits=permit or None,
                customers=await _customers(connection, customers),
                community_id=None if bound is None else bound.id,
                profile_id=None if member is None else await _member(database, bound, member),
                expires_at=None if days is None else now + timedelta(days=days),
            )
            return await tokens.create(connection, new, now)

    print(run_with_database(where, work))
    sys.stderr.write("Keep it: it can't be shown again.\n")
    return 0


_REPORTING = (*permits.REPORTING_API, *(each.permit for each in REPORTS))
_PERMITS = (*permits.PROFILE_API, *_REPORTING)


def _check(granted: Sequence[str]) -> None:
    for each in granted:
        if not any(permits.has_permit((each,), permit) for permit in _PERMITS):
            raise UsageError(f"There is no permit {each!r}: there are {', '.join(_PERMITS)}, and * as an ending.")


async def _organization(connection: Any, name: str | None, community: Community | None) -> int:
    if name is None:
        if community is None:
            raise UsageError("Say whose token it is: --organization NAME, or --community SLUG.")
        return community.organization_id
    found = await connection.fetchval("SELECT id FROM organizations WHERE name = $1", name)
    if found is None:
        raise UsageError(
            f"Organization {name!r} not found. `regulars community create` creates it with its first community."
        )
    if community is not None and found != community.organization_id:
        raise UsageError(f"The community {community.slug} is not of {name}: leave --organization out.")
    return int(found)


async def _customers(connection: Any, text: str) -> list[str] | None:
    if text == "all":
        return None
    slugs = [slug.strip() for slug in text.split(",") if slug.strip()]
    for slug in slugs:
        await communities.get_by_slug(connection, slug)
    return slugs


async def _member(database: Database, community: Community | None, name: str) -> Any:
    if community is None:
        raise UsageError("A member is of a community: name it by --community SLUG.")
    ref = (lookup.EXTERNAL_ID_OR_ID, name)
    async with database.read_transaction(community.id) as scope:
        found = (await lookup.resolve(scope, [ref])).get(ref)
    if found is None:
        raise UsageError(f"There is no profile {name} in {community.slug}.")
    return found


@token.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(help="Only those of this organization.")] = None,
    where: CommonOptions | None = None,
) -> int:
    """Lists tokens by their beginnings, the newest first: what each is bound to, what it may do, until when it is valid
    and when it was last used. A last use is shown within about a minute.

    Example: `regulars token list`
    """

    async def work(database: Database) -> list[list[object]]:
        rows: list[list[object]] = []
        async with database.unscoped_connection() as connection:
            slugs = {each.id: each.slug for each in await communities.list_all(connection)}
            for owner_id, owner in await _organizations(connection, organization):
                rows += [
                    [each.id, f"{each.hint}...", owner, *_binding(each, slugs), *_validity(each)]
                    for each in await tokens.list_for_organization(connection, owner_id)
                ]
        return rows

    header = ("id", "token", "organization", "community", "member", "customers", "permits", "name")
    print(format_table((*header, "state", "created", "expires", "last used"), run_with_database(where, work)))
    return 0


def _binding(token: Token, slugs: Mapping[int, str]) -> list[object]:
    community = "any" if token.community_id is None else slugs.get(token.community_id, token.community_id)
    member = "any" if token.profile_id is None else token.profile_id
    customers = "all" if token.customers is None else ",".join(token.customers) or "none"
    return [community, member, customers, ",".join(token.permits) or "none", token.name or "-"]


def _validity(token: Token) -> list[object]:
    state = "revoked" if token.revoked_at else "valid" if token.is_valid_at(system_clock()) else "expired"
    return [state, _minute(token.created_at), _minute(token.expires_at), _minute(token.used_at)]


def _minute(at: datetime | None) -> str:
    return "never" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"


async def _organizations(connection: Any, name: str | None) -> list[tuple[int, str]]:
    rows = await connection.fetch(
        "SELECT id, name FROM organizations WHERE $1::text IS NULL OR name = $1 ORDER BY name", name
    )
    return [(row["id"], row["name"]) for row in rows]


_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _duration(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > 6:
        raise UsageError(f"--overlap is {text!r}: write a number and a unit, such as 30m, 24h or 7d; 0s is none.")
    return int(number) * _UNITS[unit]


@token.command
def rotate(
    token_id: Annotated[int, Parameter(help="Its id, as `regulars token list` shows it.")],
    *,
    overlap: Annotated[str, Parameter(help="How long the first secret stays valid, such as 30m, 24h or 7d.")] = "24h",
    days: Annotated[
        float | None, Parameter(help="How long the second holds; as long as the first was made for.")
    ] = None,
    where: CommonOptions | None = None,
) -> int:
    """Creates a second token that may do the same, prints it, this once, and lets the first one expire.

    Example: `regulars token rotate 3 --overlap 24h`
    """
    first_stays, lifetime = _duration(overlap), None if days is None else timedelta(days=days)

    async def work(database: Database) -> str | None:
        async with database.unscoped_connection() as connection:
            first = await _found(connection, token_id)
            if first is None:
                return None
            return await tokens.rotate(connection, first, system_clock(), first_stays, lifetime)

    secret = run_with_database(where, work)
    if secret is None:
        raise UsageError(f"There is no token {token_id} that is valid: `regulars token list` shows them.")
    print(secret)
    sys.stderr.write(f"Keep it: it can't be shown again. Token {token_id} expires in {overlap}.\n")
    return 0


async def _found(connection: Any, token_id: int) -> Token | None:
    for owner_id, _ in await _organizations(connection, None):
        for each in await tokens.list_for_organization(connection, owner_id):
            if each.id == token_id:
                return each
    return None


@token.command
def revoke(
    token_id: Annotated[int, Parameter(help="Its id, as `regulars token list` shows it.")],
    *,
    where: CommonOptions | None = None,
) -> int:
    """Ends a token: within seconds no process takes it any more.

    Example: `regulars token revoke 3`
    """

    async def work(database: Database) -> bool:
        async with database.unscoped_connection() as connection:
            for owner_id, _ in await _organizations(connection, None):
                if await tokens.revoke(connection, owner_id, token_id, system_clock()):
                    return True
        return False

    if not run_with_database(where, work):
        raise UsageError(f"There is no token {token_id} that is valid: `regulars token list` shows them.")
    print(f"Token {token_id} is revoked.")
    return 0
