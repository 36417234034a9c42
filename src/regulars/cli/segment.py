"""`regulars segment`: named filters over the members of a community."""

import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar
from uuid import UUID

import msgspec
from cyclopts import App, Parameter

from regulars.auth.tenants import Tenant
from regulars.cli.options import CommonOptions, UsageError, load_settings, parse_instant, run_with_database
from regulars.cli.progress import format_count, format_json, format_table
from regulars.cli.tenants import select_tenants, usage_errors
from regulars.jobs.maintain_segments import SegmentMaintenance
from regulars.query.backends import Backends
from regulars.query.encoders import format_timestamp
from regulars.query.parser.request import DEFAULT_LIMIT, MAX_LIMIT
from regulars.query.query import SegmentReference
from regulars.query.replica.cache import ReplicaCache
from regulars.segments import changes, definitions, reads
from regulars.segments import explain as explanations
from regulars.segments.changes import Author, parse_input
from regulars.segments.explain import Currency
from regulars.segments.reads import SegmentPage
from regulars.storage.database import Database

T = TypeVar("T")

segment = App(
    name="segment",
    help="""Creates, queries and deletes segments: named filters over the members of a community.

    Example: `regulars segment list --community nord`
    """,
)

Name = Annotated[str, Parameter(help="Name of the segment.")]
Slug = Annotated[str, Parameter(help="Slug of the community.")]
Filter = Annotated[str, Parameter(help="Filter as JSON, as in a report, or a file that contains it.")]
_MAX_DIGITS = 18
"""Digits of the longest id of a member."""

At = Annotated[str | None, Parameter(help="A past instant, ISO 8601; by default now.")]


def _run(common: CommonOptions | None, community: str, work: Callable[[Database, Tenant], Awaitable[T]]) -> T:
    """Runs `work` for a community and returns its result."""

    async def run(database: Database) -> T:
        tenants = await select_tenants(database, community)
        if len(tenants) != 1:
            raise UsageError(f"--community {community} names {len(tenants)} communities. Name one by its slug.")
        return await work(database, tenants[0])

    with usage_errors(community):
        return run_with_database(common, run)


# Definitions --------------------------------------------------------------------------------------------------


@segment.command
def create(
    name: Name,
    filter_: Filter,
    *,
    community: Slug,
    description: Annotated[str, Parameter(help="What the segment is for.")] = "",
    common: CommonOptions | None = None,
) -> int:
    """Creates a segment, and computes its members.

    Example: `regulars segment create women '{"type": "equal", "field": "gender", "value": "female"}' --community nord`
    """
    body = _body(filter_, {"name": name, "description": description})
    max_segments = load_settings(common).max_segments

    async def work(database: Database, tenant: Tenant) -> str:
        new = parse_input(body, ("name", "description", "filter"))
        async with database.write_transaction(tenant.community_id) as scope:
            await changes.create(scope, new, Author(), max_segments)
        return await _computed(database, tenant, name)

    print(f"Segment {name} is created. {_run(common, community, work)}")
    return 0


@segment.command
def update(
    name: Name,
    filter_: Filter,
    *,
    community: Slug,
    description: Annotated[str | None, Parameter(help="What the segment is for; by default as before.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Changes the filter of a segment, which starts a new version, and computes its members.

    Example: `regulars segment update women women.json --community nord`
    """
    body = _body(filter_, {} if description is None else {"description": description})

    async def work(database: Database, tenant: Tenant) -> str:
        async with database.write_transaction(tenant.community_id) as scope:
            await changes.update(scope, name, parse_input(body, ("description", "filter")), Author())
        return await _computed(database, tenant, name)

    print(f"Segment {name} is changed. {_run(common, community, work)}")
    return 0


@segment.command
def delete(name: Name, *, community: Slug, common: CommonOptions | None = None) -> int:
    """Deletes a segment, and the memberships that are stored of it.

    Example: `regulars segment delete women --community nord`
    """

    async def work(database: Database, tenant: Tenant) -> None:
        async with database.write_transaction(tenant.community_id) as scope:
            await changes.delete(scope, name)
        await SegmentMaintenance(database).run_community(tenant.community_id)

    _run(common, community, work)
    print(f"Segment {name} is deleted.")
    return 0


@segment.command(name="list")
def list_(*, community: Slug, common: CommonOptions | None = None) -> int:
    """Lists the segments of a community.

    Example: `regulars segment list --community nord`
    """

    async def work(database: Database, tenant: Tenant) -> list[dict[str, Any]]:
        async with database.read_transaction(tenant.community_id) as scope:
            stored = await definitions.fetch(scope)
        return [reads.as_json(stored, each) for each in stored.segments.values()]

    rows = [
        (each["name"], each["state"], each["version"], each["known_since"], each["description"])
        for each in _run(common, community, work)
    ]
    print(format_table(("name", "state", "version", "known since", "description"), rows))
    return 0


@segment.command
def show(name: Name, *, community: Slug, common: CommonOptions | None = None) -> int:
    """Prints a segment and its versions as JSON.

    Example: `regulars segment show women --community nord`
    """

    async def work(database: Database, tenant: Tenant) -> dict[str, Any]:
        async with database.read_transaction(tenant.community_id) as scope:
            stored = await definitions.fetch(scope)
            found = changes.require(stored, name)
            versions = await changes.list_versions(scope, found.id)
        return {
            **reads.as_json(stored, found),
            "versions": [
                {"version": each.version, "cause": each.cause, "started_at": format_timestamp(each.started_at)}
                for each in versions
            ],
        }

    print(format_json(_run(common, community, work)))
    return 0


def _body(filter_: str, fields: Mapping[str, str]) -> bytes:
    """The body of a request with a filter, which is JSON or a file."""
    text = filter_ if filter_.lstrip().startswith("{") else _read(filter_)
    try:
        decoded = msgspec.json.decode(text.encode(errors="replace"), type=msgspec.Raw)
    except msgspec.DecodeError as error:
        raise UsageError(f"The filter is not valid JSON: {error}.") from None
    return msgspec.json.encode({**fields, "filter": decoded})


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"The filter is neither JSON nor a file that can be read: {path[:100]}: {error}") from None


async def _computed(database: Database, tenant: Tenant, name: str) -> str:
    """Computes the stored memberships, and says how many members the segment has."""
    has_more = await SegmentMaintenance(database).run_community(tenant.community_id)
    async with database.read_transaction(tenant.community_id) as scope:
        segments = await definitions.fetch(scope)
        number = await scope.fetchval(
            "SELECT count(*) FROM segment_memberships WHERE community_id = $1 AND version_id = $2 AND left_at IS NULL"
            " AND entered_at > '-infinity'",
            scope.community_id,
            segments.segments[name].version_id,
        )
    if has_more:
        return "Its members will be computed by the server, after commits that are running."
    return f"It has {format_count(number, 'member')}."


# Members ------------------------------------------------------------------------------------------------------


async def _reference(database: Database, tenant: Tenant, name: str) -> SegmentReference:
    return reads.reference(await definitions.filters_of(database, [tenant]), tenant, name)


@segment.command
def count(name: Name, *, community: Slug, at: At = None, common: CommonOptions | None = None) -> int:
    """Prints the number of members of a segment.

    Example: `regulars segment count women --community nord`
    """
    megabytes, instant = load_settings(common).replica_cache_mb, parse_instant("--at", at)

    async def work(database: Database, tenant: Tenant) -> dict[str, Any]:
        if instant is not None:
            async with database.read_transaction(tenant.community_id) as scope:
                return await reads.count_at(scope, name, tenant, instant)
        backends = Backends(database, ReplicaCache(database, megabytes))
        return await reads.count(await _reference(database, tenant, name), tenant, backends, database.clock())

    print(_run(common, community, work)["members_count"])
    return 0


@segment.command
def members(
    name: Name,
    *,
    community: Slug,
    at: At = None,
    limit: Annotated[int, Parameter(help=f"Members per page, 1 to {MAX_LIMIT}.")] = DEFAULT_LIMIT,
    page: Annotated[str | None, Parameter(help="The next page, as printed below the previous one.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Prints the ids of a segment's members. `regulars export` writes all of them, with their fields, to a file.

    Example: `regulars segment members women --community nord`
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise UsageError(f"--limit is {limit}. Allowed: 1 to {MAX_LIMIT}.")
    megabytes, instant = load_settings(common).replica_cache_mb, parse_instant("--at", at)

    async def work(database: Database, tenant: Tenant) -> dict[str, Any]:
        backends = Backends(database, ReplicaCache(database, megabytes))
        if instant is not None:
            key = await backends.cursor_key()
            async with database.read_transaction(tenant.community_id) as scope:
                return await reads.members_at(scope, name, instant, SegmentPage(page, limit), key)
        node = await _reference(database, tenant, name)
        return await reads.members(node, tenant, backends, database.clock(), SegmentPage(page, limit))

    found = _run(common, community, work)
    for record in found["records"]:
        print(record["id"])
    if (next_page := found["pagination"]["next_page_info"]) is not None:
        sys.stderr.write(f"There are more members. For the next page add --page {next_page}\n")
    return 0


@segment.command
def explain(
    name: Name,
    member: Annotated[str, Parameter(help="The id of a member in reports, or the id of a profile.")],
    *,
    community: Slug,
    common: CommonOptions | None = None,
) -> int:
    """Prints which conditions of a segment hold for a member, with the member's values.

    Example: `regulars segment explain women 17 --community nord`
    """

    async def work(database: Database, tenant: Tenant) -> dict[str, Any]:
        await _reference(database, tenant, name)
        async with database.read_transaction(tenant.community_id) as scope:
            stored = await definitions.fetch(scope)
            is_number = member.isdecimal() and len(member) <= _MAX_DIGITS
            profile_id = await explanations.find_profile(scope, int(member)) if is_number else _profile(member)
            currency = Currency(tenant.timezone, tenant.minor_digits)
            return await explanations.explain(scope, stored, changes.require(stored, name), profile_id, currency)

    found = _run(common, community, work)
    relation = "is in" if found["in_segment"] else "is not in"
    reason = "" if found["is_member"] else ", because the profile is not a member of the community"
    print(f"Member {found['member_id']} {relation} {name}{reason}.")
    print("\n".join(_lines(found["explanation"], "")))
    return 0


def _lines(node: Mapping[str, Any], indentation: str) -> Iterator[str]:
    mark = "yes" if node["holds"] else "no "
    if "field" in node:
        condition = f"{node['field']} {node['type']} {format_json(node['value'])}"
        yield f"{indentation}{mark} {condition}, is {format_json(node['actual'])}"
        return
    title = f"in_segment {node['segment']}" if "segment" in node else node["type"]
    yield f"{indentation}{mark} {title}"
    operands = node.get("operations") or [node.get("operation") or node["filter"]]
    for each in operands:
        yield from _lines(each, indentation + "    ")


def _profile(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise UsageError(f"{text!r} is neither the id of a member, such as 17, nor that of a profile.") from None
