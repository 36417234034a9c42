"""`regulars demo`: loads two example communities and serves them."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import msgspec
from cyclopts import Parameter

from regulars import bootstrap
from regulars.auth import passwords, permits, roles, tokens, users
from regulars.auth.roles import NewRole
from regulars.auth.users import NewUser
from regulars.cli.options import UsageError, load_settings
from regulars.cli.progress import format_count, report_progress
from regulars.cli.serve import run_server, with_free_ports
from regulars.clock import system_clock
from regulars.core.errors import NotFoundError
from regulars.demo import cdnow
from regulars.demo.mall import mall
from regulars.ingest.group_commit import GroupCommitter
from regulars.loading.batches import LoadOptions, LoadSummary
from regulars.loading.loader import load_and_finish
from regulars.loading.readers.rows import RawRow
from regulars.model import community as communities
from regulars.model.community import Community, NewCommunity
from regulars.storage.database import Database

ORGANIZATION = "Demo"

_HISTORY, _LOADED = "demo", "demo_loaded"
"""Attributes of a demo community: size and end of its history, and the entities loaded so far."""

Rows = Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class DemoClub:
    """A community to load, and the rows of each entity in the order of loading."""

    community: NewCommunity
    rows: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class LoadedClub:
    """A loaded community, a token for it, and the profile with the most purchases."""

    community: Community
    token: str
    profile_id: str


@dataclass(frozen=True, slots=True)
class DemoUser:
    """A person who can sign in, with the password of this start."""

    role: str
    email: str
    password: str


@dataclass(frozen=True, slots=True)
class LoadedDemo:
    """Both communities, a token for the reports of their organization, and its users."""

    clubs: list[LoadedClub]
    reporting_token: str
    users: Sequence[DemoUser]


def demo(
    *,
    size: Annotated[
        mall.Size, Parameter(help="Size of the generated mall community. With `tiny`, CDNOW is small too.")
    ] = "small",
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on. 0 selects a free port.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Data directory of the embedded database.")] = None,
) -> int:
    """Loads two communities, the real purchases of CDNOW and a generated mall, and serves them.

    Data that is already loaded is not loaded again.

    Example: `regulars demo --size small --port 8080`
    """
    settings = with_free_ports(load_settings(host=host, port=port, data_dir=data_dir))
    # The examples of the documentation receive webhooks on this machine.
    settings = replace(settings, webhook_allowed_networks=settings.webhook_allowed_networks or "127.0.0.0/8")

    async def load(urls: bootstrap.DatabaseUrls) -> LoadedDemo:
        async with bootstrap.open_pool(urls, settings) as database:
            committers = GroupCommitter(database, settings.commit_max_rows)
            definitions = (_cdnow(size), await _mall(database, size))
            clubs = [await _load_with_token(database, committers, each) for each in definitions]
            mall.clear_cache()
            reporting_token = await _create_reporting_token(database, clubs[0].community)
            return LoadedDemo(clubs, reporting_token, await _create_users(database, clubs[1].community))

    with bootstrap.prepare_database(settings) as urls:
        loaded = asyncio.run(load(urls))
        run_server(settings, urls, partial(_print_introduction, loaded, _query_command(data_dir)))
    return 0


def _query_command(data_dir: Path | None) -> str:
    """Returns the command line of `regulars query` for the database of this command."""
    program = Path(sys.argv[0])
    command = str(program) if program.name == "regulars" else "regulars"
    return f"{command} query" if data_dir is None else f"{command} query --data-dir {data_dir}"


def _cdnow(size: mall.Size) -> DemoClub:
    """Returns the community of CDNOW: every customer, or one of a hundred in the tiny demo."""
    new = NewCommunity(**cdnow.community(), organization=ORGANIZATION)
    each = 100 if size == "tiny" else 1
    return DemoClub(new, {"profiles": partial(cdnow.profiles, each), "transactions": partial(cdnow.transactions, each)})


async def _mall(database: Database, size: mall.Size) -> DemoClub:
    """Returns the mall community. If its loading was interrupted, it has the same history again."""
    row = mall.community()
    attributes = await _attributes(database, row["slug"])
    as_of = datetime.now(UTC).replace(second=0, microsecond=0)
    if _HISTORY in attributes:
        existing_size, as_of = _parse_history(attributes)
        if existing_size != size:
            raise UsageError(
                f"The mall in this database has the size {existing_size}. Use another --data-dir for the size {size}."
            )
    attributes = {**row["attributes"], _HISTORY: f"{size} {as_of.isoformat()}"}
    new = replace(NewCommunity(**row, organization=ORGANIZATION), attributes=attributes)
    return DemoClub(
        new,
        {
            "locations": mall.locations,
            "products": mall.products,
            "profiles": partial(mall.profiles, size, as_of=as_of),
            "memberships": partial(mall.memberships, size, as_of=as_of),
            "transactions": partial(mall.transactions, size, as_of=as_of),
            "sendings": partial(mall.sendings, size, as_of=as_of),
            "sending_events": partial(mall.sending_events, size, as_of=as_of),
            "offer_collections": mall.offer_collections,
            "offers": partial(mall.offers, size, as_of=as_of),
            "offer_events": partial(mall.offer_events, size, as_of=as_of),
            "link_visits": partial(mall.link_visits, size, as_of=as_of),
        },
    )


def _parse_history(attributes: Mapping[str, Any]) -> tuple[mall.Size, datetime]:
    """Returns the size of the mall community and the end of its history."""
    size, _, as_of = attributes[_HISTORY].partition(" ")
    return size, datetime.fromisoformat(as_of)


async def _attributes(database: Database, slug: str) -> Mapping[str, Any]:
    async with database.unscoped_connection() as connection:
        try:
            return (await communities.get_by_slug(connection, slug)).attributes
        except NotFoundError:
            return {}


async def _load_with_token(database: Database, committers: GroupCommitter, club: DemoClub) -> LoadedClub:
    community = await load_club(database, committers, club)
    async with database.unscoped_connection() as connection:
        new = tokens.NewToken(community.organization_id, "demo", community_id=community.id)
        token = await tokens.create(connection, new, system_clock())
    async with database.read_transaction(community.id) as scope:
        profile_id = await scope.fetchval(
            "SELECT profile_id FROM profile_aggregations WHERE community_id = $1 ORDER BY shop_count DESC, profile_id LIMIT 1",
            community.id,
        )
    return LoadedClub(community, token, str(profile_id))


async def _create_reporting_token(database: Database, community: Community) -> str:
    async with database.unscoped_connection() as connection:
        new = tokens.NewToken(community.organization_id, "demo of reports", [permits.REPORTING])
        return await tokens.create(connection, new, system_clock())


async def _create_users(database: Database, mall_community: Community) -> Sequence[DemoUser]:
    """Creates an administrator, a marketer and the manager of one store, each with a new password."""
    organization_id, now = mall_community.organization_id, database.clock()
    async with database.read_transaction(mall_community.id) as scope:
        store = await scope.fetchrow(
            "SELECT id, name FROM locations WHERE community_id = $1 ORDER BY name, id LIMIT 1", mall_community.id
        )
    manager = NewRole(f"Manager of {store['name']}", roles.STORE_PERMITS, [mall_community.slug], [store["id"]])
    people = (("Ada", "ada", roles.ADMINISTRATOR), ("Mari", "mari", roles.MARKETER), ("Sven", "sven", manager))
    created = []
    async with database.organization_transaction(organization_id) as connection:
        for name, local_part, new_role in people:
            email, password = f"{local_part}@demo.example", passwords.generate()
            hashed = await asyncio.to_thread(passwords.hash_password, password)
            role = await roles.find_by_name(connection, organization_id, new_role.name) or await roles.create(
                connection, organization_id, new_role, now
            )
            user = await users.find_by_email(connection, email)
            if user is None:
                new = NewUser(email, name, role.id, hashed)
                await users.create(connection, organization_id, new, now)
            else:
                await users.set_password(connection, organization_id, user.id, hashed, now)
            created.append(DemoUser(role.name, email, password))
    return created


async def load_club(database: Database, committers: GroupCommitter, club: DemoClub) -> Community:
    """Loads the entities of a community that are not loaded yet, and returns it."""
    loaded = (await _attributes(database, club.community.slug)).get(_LOADED, "").split()
    community = await _save_loaded(database, club, loaded)
    for entity, rows in club.rows.items():
        if entity in loaded:
            continue
        with report_progress(f"{community.name}: {entity}") as progress:
            options = LoadOptions(
                unique_ids=True,
                on_progress=lambda summary, progress=progress: progress.update(None, format_count(summary.rows, "row")),  # type: ignore[misc]
            )
            summary = await load_and_finish(database, committers, community.id, entity, partial(_lines, rows), options)
        print(_format_summary(community, entity, summary), flush=True)
        loaded.append(entity)
        await _save_loaded(database, club, loaded)
    return community


async def _save_loaded(database: Database, club: DemoClub, loaded: Sequence[str]) -> Community:
    """Creates or updates the community with the entities that are loaded, and returns it."""
    attributes = {**(club.community.attributes or {}), _LOADED: " ".join(loaded)}
    async with database.unscoped_connection() as connection:
        await communities.upsert(connection, replace(club.community, attributes=attributes), system_clock())
        return await communities.get_by_slug(connection, club.community.slug)


def _lines(rows: Rows) -> Iterator[RawRow]:
    for number, row in enumerate(rows(), 1):
        yield RawRow(number, msgspec.json.encode(row))


def _format_summary(community: Community, entity: str, summary: LoadSummary) -> str:
    parts = [f"{summary.accepted:,} {entity}"]
    if summary.unchanged:
        parts.append(f"{summary.unchanged:,} unchanged")
    if summary.rejected:
        parts.append(f"{summary.rejected:,} rejected ({summary.rejections[0].reason})")
    return f"{community.name}: {', '.join(parts)}"


def _print_introduction(loaded: LoadedDemo, query: str, address: str) -> None:
    cdnow_club, mall_club = loaded.clubs
    lines = [
        "",
        f"Regulars is listening at {address}, API documentation at {address}/api/docs",
        "",
        f"Open {address} in a browser and sign in as",
        *(f"  {each.email:<20}{each.password}  ({each.role})" for each in loaded.users),
        "",
        f"In another shell, for {mall_club.community.name} (docs/getting-started.md goes on from here):",
        "",
        f"  export SERVER={address}",
        f"  export TOKEN={mall_club.token}",
        f"  export REPORTS={loaded.reporting_token}",
        f"  export MEMBER={mall_club.profile_id}",
        "",
        "The values of the member who shops most often:",
        """  curl -s $SERVER/profiles/$MEMBER/aggregations -H "Authorization: Bearer $TOKEN\"""",
        "How many members there are in each group:",
        _report_call({"report": "members_grouped_count"}, mall_club.community),
        *example_queries(loaded, query),
        "",
        f"For {cdnow_club.community.name}, a customer's values at the end of June 1998, when the data end:",
        f"  curl -s '{address}/api/v3/profiles/{cdnow_club.profile_id}/aggregations?as_of=1998-07-01T00:00:00Z' \\",
        f"       -H 'Authorization: Bearer {cdnow_club.token}'",
        "",
        "Press Ctrl-C to stop the server.",
    ]
    print("\n".join(lines), flush=True)


def example_queries(loaded: LoadedDemo, query: str) -> list[str]:
    """Example queries about the mall club: its latest newsletter, then all messages, visits and offers of four weeks."""
    club = loaded.clubs[1].community
    size, as_of = _parse_history(club.attributes)
    latest = [row for row in mall.sendings(size, as_of=as_of) if row["source_type"] == "newsletter"][-1]
    weeks = {"from": f"{as_of - timedelta(days=28):%Y-%m-%d}", "to": f"{as_of:%Y-%m-%d}"}

    def where(field: str, value: object) -> Mapping[str, Any]:
        return {"filter": {"type": "equal", "field": field, "value": value}}

    def in_shell(report: Mapping[str, Any]) -> str:
        return f"  {query} '{json.dumps(report)}' --customer {club.slug}"

    return [
        "The results of its latest newsletter, in each language:",
        _report_call({"report": "sendings", **where("campaign_id", latest["campaign_id"])}, club),
        "Results of four weeks of messages, by channel:",
        in_shell({"report": "sendings_stats", "aggregate_by": "channel", **weeks}),
        "The links of that newsletter, and visits of the club's pages by source:",
        in_shell({"report": "sendings_links", **where("utm_campaign", latest["source_id"])}),
        in_shell({"report": "links_visits_stats", "aggregate_by": "utm_source", **weeks}),
        "Its offers by collection, and how often they were used:",
        in_shell({"report": "offers_collections"}),
        in_shell({"report": "offers_usages_stats", "aggregate_by": "type", **weeks}),
    ]


def _report_call(report: Mapping[str, Any], club: Community) -> str:
    return (
        f"""  curl -s $SERVER/v1/reporting/query -H "Authorization: Bearer $REPORTS" """
        f"""-H 'X-Loyalty-Club-Slug: {club.slug}' -d '{json.dumps(report)}'"""
    )
