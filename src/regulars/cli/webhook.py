"""`regulars webhook`: the webhooks of communities, their deliveries, and sending them again."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from cyclopts import App, Parameter

from regulars.cli.options import (
    ID_RANGE,
    CommonOptions,
    UsageError,
    load_settings,
    parse_instant,
    run_with_database,
)
from regulars.cli.progress import format_table
from regulars.model import community as communities
from regulars.model import webhook_deliveries
from regulars.model.resource import fetch_page, parse_list_query
from regulars.model.webhook_deliveries import WEBHOOK_DELIVERIES, ResendIn
from regulars.model.webhooks import WEBHOOKS
from regulars.storage.database import Database, Scope
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import allowed_networks
from regulars.webhooks.ping import send_ping

T = TypeVar("T")

webhook = App(
    name="webhook",
    help="""Shows webhooks and their deliveries, and sends deliveries again. Webhooks are created over the API.

    Example: `regulars webhook list`
    """,
)

Slug = Annotated[str, Parameter(help="Slug of the community.")]
Id = Annotated[int, Parameter(validator=ID_RANGE, help="Id of the webhook.")]
Status = Literal["pending", "delivered", "failed"]

_EVERYTHING = {"page[size]": "500"}


@webhook.command(name="list")
def list_(
    *,
    community: Annotated[str | None, Parameter(help="Slug of a community. Default: all.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Lists the webhooks, and why those that were disabled were.

    Example: `regulars webhook list`
    """

    async def work(database: Database) -> list[list[object]]:
        async with database.unscoped_connection() as connection:
            if community is None:
                clubs = await communities.list_all(connection)
            else:
                clubs = [await communities.get_by_slug(connection, community)]
        rows: list[list[object]] = []
        for club in clubs:
            async with database.read_transaction(club.id) as scope:
                found, _ = await fetch_page(WEBHOOKS, scope, parse_list_query(WEBHOOKS, _EVERYTHING))
            rows += [
                [club.slug, each["id"], each["trigger"], each["url"], _state(each), each["disabled_reason"] or ""]
                for each in found
            ]
        return rows

    print(format_table(("community", "id", "trigger", "url", "state", "reason"), run_with_database(common, work)))
    return 0


def _state(shown: dict[str, Any]) -> str:
    if shown["is_active"]:
        return "active"
    return f"disabled {shown['disabled_at']}" if shown["disabled_at"] else "inactive"


def _run_in_community(common: CommonOptions | None, slug: str, work: Callable[[Database, int], Awaitable[T]]) -> T:
    async def run(database: Database) -> T:
        async with database.unscoped_connection() as connection:
            club = await communities.get_by_slug(connection, slug)
        return await work(database, club.id)

    return run_with_database(common, run)


@webhook.command
def deliveries(
    webhook_id: Id,
    *,
    community: Slug,
    status: Annotated[Status | None, Parameter(help="Status of the deliveries. Default: all.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Lists the last 500 deliveries of a webhook, the newest first.

    Example: `regulars webhook deliveries 4294967297 --community nord --status pending`
    """
    query = {**_EVERYTHING, "sort": "-id", **({} if status is None else {"filter[status]": status})}

    async def work(database: Database, community_id: int) -> list[dict[str, Any]]:
        async with database.read_transaction(community_id) as scope:
            await WEBHOOKS.fetch_one(scope, webhook_id)
            parsed = parse_list_query(WEBHOOK_DELIVERIES, query)
            found, _ = await fetch_page(WEBHOOK_DELIVERIES, scope, parsed, "r.webhook_id = {0}", webhook_id)
        return found

    columns = ("id", "event_type", "occurred_at", "status", "attempts", "next_attempt_at", "response_status", "error")
    found = _run_in_community(common, community, work)
    print(format_table(columns, [["" if each[name] is None else each[name] for name in columns] for each in found]))
    return 0


@webhook.command
def resend(
    webhook_id: Id,
    *,
    community: Slug,
    delivery: Annotated[
        int | None, Parameter(validator=ID_RANGE, help="Id of one delivery. Default: those of the time range.")
    ] = None,
    start: Annotated[str | None, Parameter(name="--from", help="Time of the first event, included.")] = None,
    to: Annotated[str | None, Parameter(help="Time of the last event, excluded.")] = None,
    status: Annotated[Status | None, Parameter(help="Status of the deliveries. Default: all.")] = None,
    common: CommonOptions | None = None,
) -> int:
    """Sends a delivery, or those of a time range, again, each under the same id.

    Example: `regulars webhook resend 4294967297 --community nord --from 2026-11-01 --to 2026-11-02`
    """
    fields = {name: text for name, text in (("from", start), ("to", to), ("status", status)) if text is not None}
    if (delivery is None) == (not fields):
        raise UsageError("Name either --delivery, or --from, --to or --status.")
    for name in ("from", "to"):
        parse_instant(f"--{name}", fields.get(name))
    selection = msgspec.convert(fields, ResendIn)

    async def work(database: Database, community_id: int) -> int:
        async with database.write_transaction(community_id) as scope:
            return await _resend(scope, webhook_id, delivery, selection)

    count = _run_in_community(common, community, work)
    due = "1 delivery is" if count == 1 else f"{count:,} deliveries are"
    print(f"{due} due again. The running server sends them.")
    return 0


async def _resend(scope: Scope, webhook_id: int, delivery_id: int | None, selection: ResendIn) -> int:
    if delivery_id is None:
        return await webhook_deliveries.resend_range(scope, webhook_id, selection)
    await webhook_deliveries.resend(scope, webhook_id, delivery_id)
    return 1


@webhook.command(name="test")
def send_test(webhook_id: Id, *, community: Slug, common: CommonOptions | None = None) -> int:
    """Sends a test event to a webhook now. Exit code 1 if it is not delivered.

    Example: `regulars webhook test 4294967297 --community nord`
    """
    networks = allowed_networks(load_settings(common))

    async def work(database: Database, community_id: int) -> Any:
        client = WebhookClient(networks)
        try:
            return (await send_ping(database, client, community_id, webhook_id)).attempt
        finally:
            await client.close()

    attempt = _run_in_community(common, community, work)
    if attempt.is_delivered:
        print(f"Delivered: status {attempt.status} after {1000 * attempt.seconds:.0f} ms.")
        return 0
    print(f"Not delivered: {attempt.error}")
    return 1
