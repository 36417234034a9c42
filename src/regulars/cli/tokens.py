"""`regulars token`: who may ask."""

import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.access import permits, tokens
from regulars.cli.asked import Where, WrongUseError, with_database
from regulars.cli.printing import table
from regulars.clock import system_clock
from regulars.facts import community as communities
from regulars.facts import profile_lookup
from regulars.facts.community import Community
from regulars.reports.registry import REPORTS
from regulars.storage.database import Database

token = App(
    name="token",
    help="""Makes, lists and revokes the tokens of the API.

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
    permit: Annotated[tuple[str, ...], Parameter(help="What it may do in the Reporting API; may end in *.")] = (),
    community: Annotated[str | None, Parameter(help="Binds it to one community, for the Profile API.")] = None,
    member: Annotated[str | None, Parameter(help="Binds it to one profile: its id or external id.")] = None,
    name: Annotated[str, Parameter(help="What it is for.")] = "",
    days: Annotated[float | None, Parameter(help="How long it holds; for ever where not given.")] = None,
    where: Where | None = None,
) -> int:
    """Makes a token and prints it, this once: only its hash is kept.

    Reports need the permit Reporting:Api:Query, and each report its own, such as
    Reporting:Api:Report:MembersGroupedCount; exports need Reporting:Api:Export, those over all customers
    Reporting:Api:TenantsExport.

    Example: `regulars token create --organization CDNOW --permit 'Reporting:*'`

    One report, of two communities: `regulars token create --organization "Mall" --customers nord,syd
    --permit Reporting:Api:Query --permit Reporting:Api:Report:MembersGroupedCount`
    """
    _check(permit)

    async def work(database: Database) -> str:
        now = system_clock()
        async with database.unscoped() as connection:
            bound = None if community is None else await communities.by_slug(connection, community)
            new = tokens.NewToken(
                organization_id=await _organization(connection, organization, bound),
                name=name,
                permits=permit,
                customers=await _customers(connection, customers),
                community_id=None if bound is None else bound.id,
                profile_id=None if member is None else await _member(database, bound, member),
                expires_at=None if days is None else now + timedelta(days=days),
            )
            return await tokens.create(connection, new, now)

    print(with_database(where, work))
    sys.stderr.write("Keep it: it can't be shown again.\n")
    return 0


def _check(granted: Sequence[str]) -> None:
    known = (*permits.EVERY, *(each.permit for each in REPORTS))
    for each in granted:
        if not any(permits.holds((each,), permit) for permit in known):
            raise WrongUseError(f"There is no permit {each!r}: there are {', '.join(known)}, and * as an ending.")


async def _organization(connection: Any, name: str | None, community: Community | None) -> int:
    if name is None:
        if community is None:
            raise WrongUseError("Say whose token it is: --organization NAME, or --community SLUG.")
        return community.organization_id
    found = await connection.fetchval("SELECT id FROM organizations WHERE name = $1", name)
    if found is None:
        raise WrongUseError(
            f"There is no organization {name!r}: it comes with its first community, by `regulars community create`."
        )
    if community is not None and found != community.organization_id:
        raise WrongUseError(f"The community {community.slug} is not of {name}: leave --organization out.")
    return int(found)


async def _customers(connection: Any, text: str) -> list[str] | None:
    if text == "all":
        return None
    slugs = [slug.strip() for slug in text.split(",") if slug.strip()]
    for slug in slugs:
        await communities.by_slug(connection, slug)
    return slugs


async def _member(database: Database, community: Community | None, name: str) -> Any:
    if community is None:
        raise WrongUseError("A member is of a community: name it by --community SLUG.")
    ref = (profile_lookup.EITHER, name)
    async with database.reading(community.id) as scope:
        found = (await profile_lookup.resolve(scope, [ref])).get(ref)
    if found is None:
        raise WrongUseError(f"There is no profile {name} in {community.slug}.")
    return found


@token.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(help="Only those of this organization.")] = None,
    where: Where | None = None,
) -> int:
    """Lists tokens by their beginnings, the newest first.

    Example: `regulars token list`
    """

    async def work(database: Database) -> list[list[object]]:
        rows: list[list[object]] = []
        async with database.unscoped() as connection:
            slugs = {each.id: each.slug for each in await communities.every(connection)}
            for owner_id, owner in await _organizations(connection, organization):
                for each in await tokens.listed(connection, owner_id):
                    state = "revoked" if each.revoked_at else "stands" if each.stands_at(system_clock()) else "expired"
                    scope = slugs.get(each.community_id or 0) or ",".join(each.customers or ["all"])
                    made = each.created_at.isoformat(" ", "seconds")
                    rows.append(
                        [each.id, f"{each.hint}...", owner, scope, " ".join(each.permits), each.name, state, made]
                    )
        return rows

    header = ("id", "token", "organization", "reaches", "permits", "name", "state", "created")
    print(table(header, with_database(where, work)))
    return 0


async def _organizations(connection: Any, name: str | None) -> list[tuple[int, str]]:
    rows = await connection.fetch(
        "SELECT id, name FROM organizations WHERE $1::text IS NULL OR name = $1 ORDER BY name", name
    )
    return [(row["id"], row["name"]) for row in rows]


@token.command
def revoke(
    token_id: Annotated[int, Parameter(help="Its id, as `regulars token list` shows it.")],
    *,
    where: Where | None = None,
) -> int:
    """Ends a token: within seconds no process takes it any more.

    Example: `regulars token revoke 3`
    """

    async def work(database: Database) -> bool:
        async with database.unscoped() as connection:
            for owner_id, _ in await _organizations(connection, None):
                if await tokens.revoke(connection, owner_id, token_id, system_clock()):
                    return True
        return False

    if not with_database(where, work):
        raise WrongUseError(f"There is no token {token_id} that stands: `regulars token list` shows them.")
    print(f"Token {token_id} is revoked.")
    return 0
