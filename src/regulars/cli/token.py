"""`regulars token`: API tokens and their permits."""

import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter

from regulars.auth import tokens
from regulars.auth.tokens import Token
from regulars.cli import audit
from regulars.cli.options import CommonOptions, UsageError, run_with_database
from regulars.cli.progress import format_table
from regulars.cli.tenants import find_organization
from regulars.clock import system_clock
from regulars.model import community as communities
from regulars.model.community import Community
from regulars.model.profiles import lookup
from regulars.reports import report_permits
from regulars.storage.database import Database

token = App(
    name="token",
    help="""Creates, lists, rotates and revokes API tokens.

    Example: `regulars token create --community cdnow`
    """,
)


MAX_LIFETIME_DAYS = 36_500


@token.command
def create(
    *,
    organization: Annotated[
        str | None, Parameter(help="Name of the organization. Default: that of --community.")
    ] = None,
    customers: Annotated[
        str, Parameter(help="Slugs of the communities that it gives access to, comma-separated, or `all`.")
    ] = "all",
    permit: Annotated[tuple[str, ...], Parameter(help="Permit to grant; may end in *. May be repeated.")] = (),
    community: Annotated[
        str | None, Parameter(help="Slug of the community to bind it to. Required for the Profile API.")
    ] = None,
    member: Annotated[
        str | None, Parameter(help="Id or external id of the profile to bind it to. It gives access to no other.")
    ] = None,
    name: Annotated[str, Parameter(help="Name that describes its purpose.")] = "",
    expires_in_days: Annotated[float | None, Parameter(help="Days until it expires. Default: never.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Creates a token and prints it. It can't be printed again, because only its hash is stored.

    Without --permit, the token of a community has all permits of the Profile API and none of the Reporting API. With
    --permit it has exactly the permits named, such as Profile:Read, Transaction:Write or Import:Write.

    Reports need the permit Reporting:Api:Query and a permit of the report, such as
    Reporting:Api:Report:MembersGroupedCount. Exports and their schedules need Reporting:Api:Export and the permit of the
    report; to export each customer with its columns, a token needs Reporting:Api:TenantsExport.

    For a point of sale: `regulars token create --community cdnow --permit Profile:Read --permit Transaction:Write`

    Example: `regulars token create --organization CDNOW --permit 'Reporting:*'`

    For one report of two communities: `regulars token create --organization "Mall" --customers nord,syd
    --permit Reporting:Api:Query --permit Reporting:Api:Report:MembersGroupedCount`
    """
    _require_known(permit)
    lifetime = _lifetime(expires_in_days)
    if permit and community is None and not report_permits.has_use_in_organization(permit):
        raise UsageError(f"The permit {permit[0]} is one of the Profile API and needs --community SLUG.")

    async def work(database: Database) -> str:
        now = system_clock()
        async with database.unscoped_connection() as connection:
            club = None if community is None else await communities.get_by_slug(connection, community)
            organization_id = await _organization_id(connection, organization, club)
            new = tokens.NewToken(
                organization_id=organization_id,
                name=name,
                permits=permit or None,
                customers=await _customer_slugs(connection, customers, organization_id),
                community_id=None if club is None else club.id,
                profile_id=None if member is None else await _profile_id(database, club, member),
                expires_at=None if lifetime is None else now + lifetime,
            )
        async with database.organization_transaction(new.organization_id) as connection:
            created = await tokens.add(connection, new, now)
            granted = list(new.granted_permits)
            await audit.record(connection, new.organization_id, "token create", "token", created.id, permits=granted)
        return created.secret

    print(run_with_database(common, work))
    sys.stderr.write("Store this token now. It can't be shown again.\n")
    return 0


def _require_known(granted: Sequence[str]) -> None:
    for each in granted:
        if not report_permits.is_known(each):
            allowed = ", ".join(report_permits.ALL_PERMITS)
            raise UsageError(f"Unknown permit {each!r}. Allowed: {allowed}; a permit may end in *.")


async def _organization_id(connection: Any, name: str | None, community: Community | None) -> int:
    if name is None:
        if community is None:
            raise UsageError("Missing option: --organization NAME or --community SLUG.")
        return community.organization_id
    organization_id = await find_organization(connection, name)
    if community is not None and organization_id != community.organization_id:
        raise UsageError(f"Community {community.slug} does not belong to organization {name}. Omit --organization.")
    return organization_id


async def _customer_slugs(connection: Any, text: str, organization_id: int) -> list[str] | None:
    if text == "all":
        return None
    slugs = [slug.strip() for slug in text.split(",") if slug.strip()]
    if not slugs:
        raise UsageError(f"--customers is {text!r}. Allowed: all, or slugs of communities such as nord,syd.")
    for slug in slugs:
        if (await communities.get_by_slug(connection, slug)).organization_id != organization_id:
            raise UsageError(f"--customers has {slug}, which does not belong to the organization of the token.")
    return slugs


async def _profile_id(database: Database, community: Community | None, reference: str) -> Any:
    if community is None:
        raise UsageError("--member needs --community SLUG.")
    ref = (lookup.EXTERNAL_ID_OR_ID, reference)
    async with database.read_transaction(community.id) as scope:
        profile_id = (await lookup.resolve(scope, [ref])).get(ref)
    if profile_id is None:
        raise UsageError(f"Profile {reference} not found in {community.slug}.")
    return profile_id


@token.command(name="list")
def list_(
    *,
    organization: Annotated[str | None, Parameter(help="Name of an organization. Default: all.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Lists tokens, newest first, with their permits, expiry and last use. A use is recorded within a minute.

    Example: `regulars token list`
    """

    async def work(database: Database) -> list[list[object]]:
        rows: list[list[object]] = []
        async with database.unscoped_connection() as connection:
            if organization is not None:
                await find_organization(connection, organization)
            slugs = {each.id: each.slug for each in await communities.list_all(connection)}
            for owner_id, owner in await _organizations(connection, organization):
                rows += [
                    [each.id, f"{each.hint}...", owner, *_binding(each, slugs), *_validity(each)]
                    for each in await tokens.list_for_organization(connection, owner_id)
                ]
        return rows

    header = ("id", "token", "organization", "community", "member", "customers", "permits", "name")
    print(format_table((*header, "state", "created", "expires", "last used"), run_with_database(common, work)))
    return 0


def _binding(token: Token, slugs: Mapping[int, str]) -> list[object]:
    community = "any" if token.community_id is None else slugs.get(token.community_id, token.community_id)
    member = "any" if token.profile_id is None else token.profile_id
    customers = "all" if token.customers is None else ",".join(token.customers) or "none"
    return [community, member, customers, ",".join(token.permits) or "none", token.name or "-"]


def _validity(token: Token) -> list[object]:
    state = "revoked" if token.revoked_at else "valid" if token.is_valid_at(system_clock()) else "expired"
    return [state, _format(token.created_at), _format(token.expires_at), _format(token.used_at)]


def _format(timestamp: datetime | None) -> str:
    return "never" if timestamp is None else f"{timestamp:%Y-%m-%dT%H:%M:%SZ}"


async def _organizations(connection: Any, name: str | None) -> list[tuple[int, str]]:
    rows = await connection.fetch(
        "SELECT id, name FROM organizations WHERE $1::text IS NULL OR name = $1 ORDER BY name", name
    )
    return [(row["id"], row["name"]) for row in rows]


def _lifetime(days: float | None) -> timedelta | None:
    if days is not None and not 0 < days <= MAX_LIFETIME_DAYS:
        raise UsageError(f"--expires-in-days is {days:g}. Allowed: more than 0, at most {MAX_LIFETIME_DAYS:,}.")
    return None if days is None else timedelta(days=days)


_UNITS = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


def _parse_duration(text: str) -> timedelta:
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isascii() or not number.isdigit() or len(number) > 6:
        raise UsageError(f"--overlap is {text!r}. It must be a number and a unit (s, m, h, d), such as 30m, 24h or 7d.")
    return int(number) * _UNITS[unit]


@token.command
def rotate(
    token_id: Annotated[int, Parameter(help="Id of the token, as `regulars token list` shows it.")],
    *,
    overlap: Annotated[str, Parameter(help="How long the old token remains valid, such as 30m, 24h or 7d.")] = "24h",
    expires_in_days: Annotated[
        float | None, Parameter(help="Days until the new token expires. Default: the lifetime of the old token.")
    ] = None,
    common: CommonOptions | None = None,
) -> int:
    """Creates a token with the same permits, prints it, and lets the old token expire.

    Example: `regulars token rotate 3 --overlap 24h`
    """
    overlap_time, lifetime = _parse_duration(overlap), _lifetime(expires_in_days)

    async def work(database: Database) -> str | None:
        async with database.unscoped_connection() as connection:
            old = await _find(connection, token_id)
        if old is None:
            return None
        async with database.organization_transaction(old.organization_id) as connection:
            created = await tokens.renew(connection, old, system_clock(), overlap_time, lifetime)
            if created is None:
                return None
            await audit.record(connection, old.organization_id, "token rotate", "token", old.id, new_token=created.id)
        return created.secret

    secret = run_with_database(common, work)
    if secret is None:
        raise UsageError(f"Token {token_id} not found or not valid. `regulars token list` shows the tokens.")
    print(secret)
    sys.stderr.write(f"Store this token now. It can't be shown again. Token {token_id} expires in {overlap}.\n")
    return 0


async def _find(connection: Any, token_id: int) -> Token | None:
    for owner_id, _ in await _organizations(connection, None):
        for each in await tokens.list_for_organization(connection, owner_id):
            if each.id == token_id:
                return each
    return None


@token.command
def revoke(
    token_id: Annotated[int, Parameter(help="Id of the token, as `regulars token list` shows it.")],
    *,
    common: CommonOptions | None = None,
) -> int:
    """Revokes a token. Within seconds no process accepts it.

    Example: `regulars token revoke 3`
    """

    async def work(database: Database) -> bool:
        async with database.unscoped_connection() as connection:
            found = await _find(connection, token_id)
        if found is None:
            return False
        async with database.organization_transaction(found.organization_id) as connection:
            if not await tokens.revoke(connection, found.organization_id, token_id, system_clock()):
                return False
            await audit.record(connection, found.organization_id, "token revoke", "token", token_id)
        return True

    if not run_with_database(common, work):
        raise UsageError(f"Token {token_id} not found or not valid. `regulars token list` shows the tokens.")
    print(f"Token {token_id} is revoked.")
    return 0
