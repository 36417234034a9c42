"""`regulars demo`: two clubs to look at, loaded and served."""

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
from cyclopts import App, Parameter

from regulars import bootstrap
from regulars.auth import permits, tokens
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

_BEGUN, _LOADED = "demo", "demo_loaded"
"""Attributes of a demo club: of which size and when its history ends, and the entities that are there."""

Rows = Callable[[], Iterable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class DemoClub:
    """A club to load: what it is, and the rows of each entity, in the order in which they are loaded."""

    community: NewCommunity
    rows: Mapping[str, Rows]


@dataclass(frozen=True, slots=True)
class LoadedClub:
    """What can be looked at: a club, a token for it, and the member who bought most often."""

    community: Community
    token: str
    profile_id: str


@dataclass(frozen=True, slots=True)
class LoadedDemo:
    """Both clubs, and a token for the reports of their organization."""

    clubs: list[LoadedClub]
    reporting_token: str


def add_to(app: App) -> None:
    """Adds the command."""
    app.command(demo)


def demo(
    *,
    size: Annotated[mall.Size, Parameter(help="How large the generated mall club is.")] = "small",
    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None,
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes one that is free.")] = None,
    data_dir: Annotated[Path | None, Parameter(help="Data folder of the embedded database.")] = None,
) -> int:
    """Loads two clubs, the real purchases of CDNOW and a generated mall club, and serves them.

    What is loaded already is left as it is.

    Example: `regulars demo --size small --port 8080`
    """
    settings = with_free_ports(load_settings(host=host, port=port, data_dir=data_dir))

    async def prepared(found: bootstrap.DatabaseUrls) -> LoadedDemo:
        async with bootstrap.open_pool(found, settings) as database:
            committers = GroupCommitter(database, settings.commit_max_rows)
            first = _cdnow()
            second = await _mall(database, size)
            clubs = [await _shown(database, committers, club) for club in (first, second)]
            mall.clear_cache()
            return LoadedDemo(clubs, await _reporting_token(database, clubs[0].community))

    with bootstrap.prepare_database(settings) as found:
        shown = asyncio.run(prepared(found))
        run_server(settings, found, partial(_tell, shown, _query(data_dir)))
    return 0


def _query(data_dir: Path | None) -> str:
    """How `regulars query` is called beside this command."""
    called = Path(sys.argv[0])
    command = str(called) if called.name == "regulars" else "regulars"
    return f"{command} query" if data_dir is None else f"{command} query --data-dir {data_dir}"


def _cdnow() -> DemoClub:
    new = NewCommunity(**cdnow.community(), organization=ORGANIZATION)
    return DemoClub(new, {"profiles": cdnow.profiles, "transactions": cdnow.transactions})


async def _mall(database: Database, size: mall.Size) -> DemoClub:
    """The mall club; one that was begun has the same history again."""
    row = mall.community()
    attributes = await _attributes(database, row["slug"])
    as_of = datetime.now(UTC).replace(second=0, microsecond=0)
    if _BEGUN in attributes:
        begun_size, as_of = _begun(attributes)
        if begun_size != size:
            raise UsageError(f"The mall club here is {begun_size}: name another --data-dir folder for a {size} one.")
    noted = {**row["attributes"], _BEGUN: f"{size} {as_of.isoformat()}"}
    new = replace(NewCommunity(**row, organization=ORGANIZATION), attributes=noted)
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


def _begun(attributes: Mapping[str, Any]) -> tuple[mall.Size, datetime]:
    """Of which size the mall club is, and when its history ends."""
    size, _, as_of = attributes[_BEGUN].partition(" ")
    return size, datetime.fromisoformat(as_of)


async def _attributes(database: Database, slug: str) -> Mapping[str, Any]:
    async with database.unscoped_connection() as connection:
        try:
            return (await communities.get_by_slug(connection, slug)).attributes
        except NotFoundError:
            return {}


async def _shown(database: Database, committers: GroupCommitter, club: DemoClub) -> LoadedClub:
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


async def _reporting_token(database: Database, community: Community) -> str:
    async with database.unscoped_connection() as connection:
        new = tokens.NewToken(community.organization_id, "demo of reports", [permits.REPORTING])
        return await tokens.create(connection, new, system_clock())


async def load_club(database: Database, committers: GroupCommitter, club: DemoClub) -> Community:
    """The club with all its entities; those that are there are not loaded again."""
    there = (await _attributes(database, club.community.slug)).get(_LOADED, "").split()
    community = await _noted(database, club, there)
    for entity, rows in club.rows.items():
        if entity in there:
            continue
        with report_progress(f"{community.name}: {entity}") as told:
            options = LoadOptions(
                unique_ids=True,
                on_progress=lambda summary, told=told: told.update(None, format_count(summary.rows, "row")),  # type: ignore[misc]
            )
            summary = await load_and_finish(database, committers, community.id, entity, partial(_lines, rows), options)
        print(_in_words(community, entity, summary), flush=True)
        there.append(entity)
        await _noted(database, club, there)
    return community


async def _noted(database: Database, club: DemoClub, there: Sequence[str]) -> Community:
    """The club, with a note of which entities are there."""
    attributes = {**(club.community.attributes or {}), _LOADED: " ".join(there)}
    async with database.unscoped_connection() as connection:
        await communities.upsert(connection, replace(club.community, attributes=attributes), system_clock())
        return await communities.get_by_slug(connection, club.community.slug)


def _lines(rows: Rows) -> Iterator[RawRow]:
    for number, row in enumerate(rows(), 1):
        yield RawRow(number, msgspec.json.encode(row))


def _in_words(community: Community, entity: str, summary: LoadSummary) -> str:
    parts = [f"{summary.loaded:,} {entity}"]
    if summary.unchanged:
        parts.append(f"{summary.unchanged:,} were there")
    if summary.rejected:
        parts.append(f"{summary.rejected:,} rejected ({summary.rejections[0].reason})")
    return f"{community.name}: {', '.join(parts)}"


def _tell(shown: LoadedDemo, query: str, address: str) -> None:
    real, generated = shown.clubs
    profiles = f"{address}/api/v3/profiles"
    lines = [
        "",
        f"Regulars answers at {address}. Read and try the API at {address}/api/docs",
        "",
        *(f"Token for {each.community.name}: {each.token}" for each in shown.clubs),
        f"Token for reports: {shown.reporting_token}",
        "",
        "What is known of a customer of CDNOW, now:",
        _curl(real.token, f"{profiles}/{real.profile_id}/aggregations"),
        "the same as of the end of June 1998:",
        _curl(real.token, f"{profiles}/{real.profile_id}/aggregations?as_of=1998-07-01T00:00:00Z"),
        f"and of a member of {generated.community.name}, as a bare object:",
        _curl(generated.token, f"{address}/profiles/{generated.profile_id}/aggregations"),
        f"How many members of {generated.community.name} stand in each group:",
        _asked(shown, address, {"report": "members_grouped_count"}),
        *example_queries(shown, address, query),
        "",
        "Ctrl-C stops it.",
    ]
    print("\n".join(lines), flush=True)


def example_queries(shown: LoadedDemo, address: str, query: str) -> list[str]:
    """What to ask of what the club sent and offered: the latest newsletter, then all of the last weeks."""
    club = shown.clubs[1].community
    size, as_of = _begun(club.attributes)
    latest = [row for row in mall.sendings(size, as_of=as_of) if row["source_type"] == "newsletter"][-1]
    weeks = {"from": f"{as_of - timedelta(days=28):%Y-%m-%d}", "to": f"{as_of:%Y-%m-%d}"}

    def where(field: str, value: object) -> Mapping[str, Any]:
        return {"filter": {"type": "equal", "field": field, "value": value}}

    def in_shell(report: Mapping[str, Any]) -> str:
        return f"  {query} '{json.dumps(report)}' --customer {club.slug}"

    return [
        "What became of its latest newsletter, in each language:",
        _asked(shown, address, {"report": "sendings", **where("campaign_id", latest["campaign_id"])}),
        "and of all that it sent in four weeks, from another shell:",
        in_shell({"report": "sendings_stats", "aggregate_by": "channel", **weeks}),
        "The links of that newsletter, and who led how many to the club's pages:",
        in_shell({"report": "sendings_links", **where("utm_campaign", latest["source_id"])}),
        in_shell({"report": "links_visits_stats", "aggregate_by": "utm_source", **weeks}),
        "Its offers, by what they are shown under, and how often they were used:",
        in_shell({"report": "offers_collections"}),
        in_shell({"report": "offers_usages_stats", "aggregate_by": "type", **weeks}),
    ]


def _asked(shown: LoadedDemo, address: str, report: Mapping[str, Any]) -> str:
    club = f"-H 'X-Loyalty-Club-Slug: {shown.clubs[1].community.slug}'"
    return _curl(shown.reporting_token, f"{address}/v1/reporting/query", club, f"-d '{json.dumps(report)}'")


def _curl(token: str, url: str, *more: str) -> str:
    return " ".join((f"  curl -H 'Authorization: Bearer {token}'", *more, f"'{url}'"))
