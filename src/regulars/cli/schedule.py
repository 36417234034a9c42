"""`regulars schedule`: exports at set times."""

import base64
import secrets
import sys
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter

from regulars.auth import permits
from regulars.auth.errors import AccessDenied
from regulars.auth.tenants import ALL_CUSTOMERS
from regulars.cli.jobs import Output, require_output
from regulars.cli.options import CommonOptions, UsageError, load_settings, run_with_database
from regulars.cli.progress import format_json, format_table
from regulars.cli.tenants import select_tenants, usage_errors
from regulars.core import timestamps
from regulars.exports import cleanup, export_table, schedule_table
from regulars.exports.export import require_exportable
from regulars.exports.export_table import Export
from regulars.exports.schedule import ScheduleInvalidError, new_schedule, parse_schedule
from regulars.exports.schedule_table import Schedule
from regulars.jobs import export_schedules
from regulars.query.parser.request import decode_body
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.segments import definitions
from regulars.settings import Settings
from regulars.storage.database import Database

schedule = App(
    name="schedule",
    help="""Exports reports at set times.

    Example: `regulars schedule list`
    """,
)

ScheduleId = Annotated[str, Parameter(help="ID of the schedule.")]

SHOWN_RUNS = 10
_SECRET_BYTES = 24


@schedule.command
def create(
    body: Annotated[str, Parameter(help="Request body, as for POST /v1/reporting/export_schedules.")],
    *,
    customer: Annotated[str, Parameter(help="Value of X-Customer, or the slug of a community.")] = ALL_CUSTOMERS,
    common: CommonOptions | None = None,
) -> int:
    """Creates a schedule and prints its ID. Its customers must belong to one organization.

    Example: `regulars schedule create '{"name": "Weekly", "cron": "0 6 * * MON", "report": "members", "format": "csv"}'
    --customer cdnow`
    """
    with usage_errors(customer):
        params = decode_body(body.encode(errors="replace"))
    settings = load_settings(common)

    async def work(database: Database) -> Schedule:
        tenants = await select_tenants(database, customer)
        if len({each.organization_id for each in tenants}) > 1:
            raise UsageError("The customers belong to several organizations. Use --customer to select those of one.")
        now = database.clock()
        segments = await definitions.filters_of(database, tenants)
        requested = parse_schedule(params, tenants, REPORTS_BY_NAME, settings, now, segments)
        with_columns = requested.has_customer_columns
        require_exportable(requested.query, tenants, with_customer_columns=with_columns, now=now)
        secret = secrets.token_bytes(_SECRET_BYTES) if requested.target.webhook_url else None
        created = new_schedule(requested, tenants, [permits.REPORTING], None, now, webhook_secret=secret)
        try:
            await export_schedules.create(database, created)
        except export_schedules.TooManySchedulesError as error:
            raise UsageError(str(error)) from None
        return created

    with usage_errors(customer):
        created = run_with_database(common, work)
    print(created.id)
    if created.webhook_secret is not None:
        secret = f"whsec_{base64.b64encode(created.webhook_secret).decode()}"
        sys.stderr.write(f"The webhook is signed with the secret {secret}. It can't be shown again.\n")
    return 0


@schedule.command(name="list")
def list_(*, output: Output = "table", common: CommonOptions | None = None) -> int:
    """Lists the schedules of all organizations.

    Example: `regulars schedule list -o json`
    """
    require_output(output)
    found = run_with_database(common, _list_all)
    if output == "json":
        print(format_json([_public(each) for each in found]))
        return 0
    header = ("id", "organization", "name", "cron", "timezone", "report", "format", "next run")
    print(format_table(header, [_row(each) for each in found]))
    return 0


async def _list_all(database: Database) -> list[Schedule]:
    found: list[Schedule] = []
    for organization_id in await cleanup.list_organizations(database):
        found += await schedule_table.list_all(database, organization_id)
    return found


def _row(each: Schedule) -> list[object]:
    next_run = timestamps.format_timestamp(each.next_run_at)
    return [
        each.id, each.organization_id, each.name, each.cron, each.timezone, each.request["report"], each.request["format"],
        next_run,
    ]  # fmt: skip


def _public(each: Schedule) -> dict[str, Any]:
    """A schedule without its secret."""
    return {name: getattr(each, name) for name in Schedule.__dataclass_fields__ if name != "webhook_secret"}


@schedule.command
def show(schedule_id: ScheduleId, *, output: Output = "table", common: CommonOptions | None = None) -> int:
    """Shows a schedule with its latest runs.

    Example: `regulars schedule show 7c5d0f0e-6f0e-4d9b-8f3c-0d5a1c2b3e4f`
    """
    require_output(output)

    async def work(database: Database) -> tuple[Schedule, Sequence[Export]]:
        found = await _find(database, schedule_id)
        return found, await export_table.list_latest(
            database, found.organization_id, schedule_id=found.id, limit=SHOWN_RUNS
        )

    found, runs = run_with_database(common, work)
    if output == "json":
        shown = {**_public(found), "runs": [{"export_id": each.id, **_run_values(each)} for each in runs]}
        print(format_json(shown))
        return 0
    print(format_table(("schedule", ""), [[name, value] for name, value in _public(found).items()]))
    print()
    rows = [[each.id, *_run_values(each).values()] for each in runs]
    print(format_table(("export", "scheduled for", "status", "rows", "error"), rows))
    return 0


def _run_values(each: Export) -> dict[str, object]:
    return {
        "scheduled_for": None if each.scheduled_for is None else timestamps.format_timestamp(each.scheduled_for),
        "status": each.status.value,
        "rows": each.rows_written,
        "error": each.error,
    }


@schedule.command
def delete(schedule_id: ScheduleId, *, common: CommonOptions | None = None) -> int:
    """Deletes a schedule. The exports that it requested stay until they expire.

    Example: `regulars schedule delete 7c5d0f0e-6f0e-4d9b-8f3c-0d5a1c2b3e4f`
    """

    async def work(database: Database) -> Schedule:
        found = await _find(database, schedule_id)
        await export_schedules.delete(database, found)
        return found

    print(f"Schedule {run_with_database(common, work).name!r} is deleted.")
    return 0


@schedule.command
def run(schedule_id: ScheduleId, *, common: CommonOptions | None = None) -> int:
    """Requests an export of a schedule now, and prints its ID. A running server or worker writes it.

    Example: `regulars schedule run 7c5d0f0e-6f0e-4d9b-8f3c-0d5a1c2b3e4f`
    """
    settings: Settings = load_settings(common)

    async def work(database: Database) -> Export:
        return await export_schedules.run_now(database, await _find(database, schedule_id), settings)

    try:
        print(run_with_database(common, work).id)
    except ScheduleInvalidError as error:
        raise UsageError(f"The schedule can't run: {error}") from None
    except AccessDenied as error:
        raise UsageError(error.message) from None
    return 0


async def _find(database: Database, schedule_id: str) -> Schedule:
    try:
        wanted = UUID(schedule_id)
    except ValueError:
        wanted = None
    for each in await _list_all(database):
        if each.id == wanted:
            return each
    raise UsageError(f"Schedule {schedule_id} not found. `regulars schedule list` shows the schedules.")
