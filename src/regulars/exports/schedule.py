"""Schedules of exports: the request of a schedule, its target, and the exports that it requests."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from regulars.auth.tenants import Tenant
from regulars.core.timestamps import zone_info
from regulars.core.validation import check_text
from regulars.exports.cron import CronError, CronExpression
from regulars.exports.export_table import NewExport
from regulars.exports.relative_range import RangeOrigin, parse_range
from regulars.exports.request import FILE_KEYS, FileOptions, parse_file_options, parse_webhook_url
from regulars.exports.schedule_table import Schedule
from regulars.exports.stores import FOLDER_LOCATION
from regulars.query.errors import ErrorCollector, ParameterError, missing, not_in
from regulars.query.parser.request import ReportRegistry, RequestBody, parse_whole_query
from regulars.query.query import NO_SEGMENTS, ReportQuery, SegmentFilters
from regulars.reports.report import ReportFormat
from regulars.settings import Settings

MAX_NAME_LENGTH = 100
MAX_PATH_LENGTH = 200

KEYS = ("name", "cron", "timezone", "range", "target", "customer_columns")
"""Parameters of a schedule, in addition to those of the query and of the file."""

TARGET_TYPES = ("folder", "s3", "webhook")

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*")
_OWN_FOLDER = re.compile(r"/*|/+[0-9]+(/.*)?")


@dataclass(frozen=True, slots=True)
class ExportTarget:
    """Where the exports of a schedule go: a folder of the organization, an object store, or a webhook as well."""

    location: str
    folder: str
    webhook_url: str | None = None


@dataclass(frozen=True, slots=True)
class RequestedSchedule:
    """A validated request of a schedule. `params` is its body. `query` is that of a run now."""

    name: str
    cron: CronExpression
    query: ReportQuery
    file: FileOptions
    target: ExportTarget
    has_customer_columns: bool
    params: Mapping[str, Any]


def parse_schedule(
    params: RequestBody,
    tenants: Sequence[Tenant],
    registry: ReportRegistry,
    settings: Settings,
    now: datetime,
    segments: SegmentFilters = NO_SEGMENTS,
) -> RequestedSchedule:
    """Parses the body of a request for a schedule. Raises InvalidParametersError with every error found."""
    errors = ErrorCollector()
    name = _parse_name(params.get("name"), errors)
    zone = _parse_zone(params.get("timezone"), tenants, errors)
    cron = None if zone is None else _parse_cron(params.get("cron"), zone, errors)
    target = parse_target(params.get("target"), tenants[0].organization_id, settings, errors)
    has_customer_columns = params.get("customer_columns", False)
    if not isinstance(has_customer_columns, bool):
        errors.add(("customer_columns",), ParameterError("not_a_boolean", "Must be true or false."))
    file = parse_file_options(params, errors)
    query = parse_whole_query(
        resolve_range(params, RangeOrigin.of(now, tenants, zone), registry, errors),
        registry,
        errors,
        segments,
        (*KEYS, *FILE_KEYS),
    )
    assert file is not None  # noqa: S101 - otherwise there is an error, which was raised
    assert cron is not None  # noqa: S101
    assert target is not None  # noqa: S101
    return RequestedSchedule(name, cron, query, file, target, bool(has_customer_columns), dict(params))


def _parse_name(value: object, errors: ErrorCollector) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_NAME_LENGTH or not value.isprintable():
        message = f"Must be a text of 1 to {MAX_NAME_LENGTH} printable characters."
        errors.add(("name",), missing("name") if value is None else ParameterError("invalid_name", message))
        return ""
    return value


def _parse_zone(value: object, tenants: Sequence[Tenant], errors: ErrorCollector) -> ZoneInfo | None:
    """The time zone: by default that of the customers, if it is the same."""
    zones = sorted({each.timezone for each in tenants})
    if value is None:
        if len(zones) == 1:
            return ZoneInfo(zones[0])
        errors.add(("timezone",), missing("timezone", f"The customers have several: {', '.join(zones)}."))
        return None
    try:
        if not isinstance(value, str):
            raise ValueError("not a text")
        return zone_info(check_text(value))
    except ValueError:
        message = "Must be the IANA name of a time zone, such as Europe/Oslo."
        errors.add(("timezone",), ParameterError("invalid_timezone", message))
        return None


def _parse_cron(value: object, zone: ZoneInfo, errors: ErrorCollector) -> CronExpression | None:
    if not isinstance(value, str):
        errors.add(("cron",), missing("cron", "Example: 0 6 * * MON."))
        return None
    try:
        return CronExpression.parse(value, zone)
    except CronError as error:
        errors.add(("cron",), ParameterError("invalid_cron", str(error)))
        return None


def resolve_range(
    params: RequestBody, origin: RangeOrigin, registry: ReportRegistry, errors: ErrorCollector
) -> dict[str, Any]:
    """Returns the parameters with `from` and `to` in place of `range`, relative to an origin."""
    resolved = {key: value for key, value in params.items() if key != "range"}
    report = registry.get(params["report"]) if isinstance(params.get("report"), str) else None
    if params.get("range") is None or report is None:
        return resolved
    if report.format is ReportFormat.RECORDS:
        message = f"{report.name} has no time range: it is the current state."
        errors.add(("range",), ParameterError("unknown", message))
        return resolved
    found = parse_range(params["range"], errors)
    # Any valid range, so that no other error follows from this one.
    times = {"from": "2000-01-01", "to": "2000-01-01"} if found is None else found.resolve(origin, report.format)
    for key in times:
        if key in params:
            errors.add((key,), ParameterError("unknown", "Must not be combined with 'range'."))
    return {**resolved, **times}


# Targets ------------------------------------------------------------------------------------------------------


def parse_target(
    value: object, organization_id: int, settings: Settings, errors: ErrorCollector
) -> ExportTarget | None:
    """Parses a target; None, with an error added, if it is not valid. Without a target it is the store of exports."""
    own = ExportTarget(settings.export_store, str(organization_id))
    if value is None:
        return own
    if not isinstance(value, dict):
        errors.add(("target",), ParameterError("must_be_an_object", "Must be an object with `type`."))
        return None
    keys = {"folder": "path", "s3": "url", "webhook": "url"}
    kind = value.get("type")
    if not isinstance(kind, str) or kind not in keys:
        errors.add(("target", "type"), not_in(TARGET_TYPES, "target", kind))
        return None
    for key in set(value) - {"type", keys[kind]}:
        errors.add(("target", key), ParameterError("unknown", f"Unknown parameter. Allowed: type, {keys[kind]}."))
    if kind == "folder":
        return _parse_folder(value.get("path"), organization_id, errors)
    if kind == "s3":
        return _parse_store(value.get("url"), settings, errors)
    if value.get("url") is None:
        errors.add(("target", "url"), missing("url"))
    url = parse_webhook_url(value.get("url"), ("target", "url"), errors)
    return ExportTarget(own.location, own.folder, url)


def _parse_folder(path: object, organization_id: int, errors: ErrorCollector) -> ExportTarget | None:
    if not isinstance(path, str) or len(path) > MAX_PATH_LENGTH or not _PATH.fullmatch(path):
        message = (
            f"Must be a relative path of at most {MAX_PATH_LENGTH} letters, digits, '.', '_' and '-', with '/' between "
            f"folders that do not start with '.'. It is a folder below those of the organization's exports."
        )
        errors.add(("target", "path"), ParameterError("invalid_path", message))
        return None
    return ExportTarget(FOLDER_LOCATION, f"{organization_id}/{path}")


def _parse_store(url: object, settings: Settings, errors: ErrorCollector) -> ExportTarget | None:
    allowed = allowed_stores(settings)
    if isinstance(url, str) and url.isprintable() and ".." not in url and url.startswith(allowed):
        if _is_own_folder(url, settings):
            message = "Is a folder of the store of exports, whose files expire. Use another prefix, or no target."
            errors.add(("target", "url"), ParameterError("invalid_url", message))
            return None
        return ExportTarget(url.rstrip("/"), "")
    options = ", ".join(allowed) or "none"
    message = f"Must be the URL of an object store that the server allows (REGULARS_EXPORT_TARGETS): {options}."
    errors.add(("target", "url"), ParameterError("inclusion", message, {"in": list(allowed)}))
    return None


def _is_own_folder(url: str, settings: Settings) -> bool:
    """Whether a URL is the store of exports or in the folder of an organization there."""
    store = settings.export_store.rstrip("/")
    return bool(store) and url.startswith(store) and _OWN_FOLDER.fullmatch(url.removeprefix(store)) is not None


def allowed_stores(settings: Settings) -> tuple[str, ...]:
    """The prefixes of URLs that schedules may write to, each with a slash at its end."""
    return tuple(f"{each.strip().rstrip('/')}/" for each in settings.export_targets.split(",") if each.strip())


# Runs -----------------------------------------------------------------------------------------------------------


class ScheduleInvalidError(Exception):
    """A schedule can't run any more, because a setting or a report has changed. The message says why."""


def export_of_run(
    schedule: Schedule,
    tenants: Sequence[Tenant],
    scheduled_for: datetime,
    registry: ReportRegistry,
    settings: Settings,
) -> NewExport:
    """The export that a schedule of tenants requests for a run. Raises ScheduleInvalidError."""
    errors = ErrorCollector()
    target = parse_target(schedule.request.get("target"), schedule.organization_id, settings, errors)
    origin = RangeOrigin.of(scheduled_for, tenants, ZoneInfo(schedule.timezone))
    params = resolve_range(dict(schedule.request), origin, registry, errors)
    if target is None or errors.errors:
        raise ScheduleInvalidError(str(errors.to_exception()))
    return NewExport(
        organization_id=schedule.organization_id,
        id=uuid4(),
        request={key: value for key, value in params.items() if key not in KEYS},
        community_ids=schedule.community_ids,
        permits=schedule.permits,
        has_customer_columns=bool(schedule.request.get("customer_columns")),
        location=target.location,
        folder=target.folder,
        token_id=schedule.token_id,
        schedule_id=schedule.id,
        scheduled_for=scheduled_for,
        webhook_url=target.webhook_url,
        webhook_secret=schedule.webhook_secret if target.webhook_url is not None else None,
    )


def new_schedule(
    requested: RequestedSchedule,
    tenants: Sequence[Tenant],
    permits: Sequence[str],
    token_id: int | None,
    now: datetime,
    *,
    id: UUID | None = None,  # noqa: A002
    webhook_secret: bytes | None = None,
) -> Schedule:
    """The schedule of a validated request."""
    return Schedule(
        organization_id=tenants[0].organization_id,
        id=id or uuid4(),
        name=requested.name,
        request=requested.params,
        community_ids=[each.community_id for each in tenants],
        permits=permits,
        token_id=token_id,
        cron=requested.cron.text,
        timezone=requested.cron.zone.key,
        webhook_secret=webhook_secret,
        next_run_at=requested.cron.next_after(now),
        created_at=now,
        updated_at=now,
    )
