"""The state of a community's data: late stores, rejected rows, freshness, backlogs and failed work."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from regulars.auth.tenants import Tenant
from regulars.facts.registry import FACT_TYPES
from regulars.jobs import refresh_due
from regulars.jobs.refresh_due import RefreshBacklog
from regulars.model import load_runs, verify_runs
from regulars.model.load_runs import LoadRun
from regulars.model.verify_runs import VerifyRun
from regulars.segments import definitions
from regulars.storage import sql_files
from regulars.storage.database import Database, Scope
from regulars.webhooks import backlog
from regulars.webhooks.backlog import WebhookBacklog

USUAL_DAYS = 91
"""Days before now from which the usual time between sales of a store is computed."""

MIN_DAYS = 5
"""With fewer days with sales it is unknown what is usual."""

LATE_FACTOR = 1.5
"""A store is late when nothing was sold for more than this times its usual time between sales."""

MAX_LOADS = 20
MAX_REFRESH_SECONDS = 600
"""Profiles that are outdated for longer than this need attention."""

MAX_WAITING = 200_000
"""Changes that wait for compaction beyond this number need attention."""

_STORES = sql_files.load("regulars.observability", "stores_by_last_sale")

# PostgreSQL drops IS NOT NULL for columns that are never null, so only a comparison shows that the index has all rows.
NEWEST_FACTS = """
SELECT
    (SELECT max(purchased_at) FROM purchases WHERE community_id = $1 AND purchased_at <= $2) AS purchases,
    (
        SELECT created_at FROM profiles WHERE community_id = $1 AND member_id > 0
        ORDER BY member_id DESC LIMIT 1
    ) AS profiles,
    (SELECT max(last_event_at) FROM sendings WHERE community_id = $1) AS sending_events,
    (SELECT max(visited_at) FROM link_visits WHERE community_id = $1 AND visited_at <= $2) AS link_visits,
    (SELECT max(last_event_at) FROM offers WHERE community_id = $1) AS offer_events
"""


@dataclass(frozen=True, slots=True)
class StoreHealth:
    """The last sale of a store. `usual_days` is the usual number of days between days with sales; None if unknown.

    `status` is `late`, `on_time`, `unknown` with too few sales to compare with, or `none` without a sale in USUAL_DAYS.
    """

    id: int
    name: str | None
    external_id: str | None
    last_sale_at: datetime | None
    usual_days: int | None
    status: str


@dataclass(frozen=True, slots=True)
class InvalidSegmentHealth:
    """A segment whose filter can't be evaluated any more, and why."""

    name: str
    problem: str


@dataclass(frozen=True, slots=True)
class DataHealth:
    """The state of a community's data at an instant."""

    stores: Sequence[StoreHealth]
    newest: Mapping[str, datetime | None]
    last_load_at: datetime | None
    rejected_loads: Sequence[LoadRun]
    waiting: Mapping[str, int]
    refresh: RefreshBacklog
    verify: VerifyRun | None
    webhooks: WebhookBacklog
    invalid_segments: Sequence[InvalidSegmentHealth]

    @property
    def problems(self) -> Sequence[str]:
        """The parts that need attention."""
        checks = {
            "stores": any(each.status == "late" for each in self.stores),
            "loads": bool(self.rejected_loads),
            "compaction": any(count > MAX_WAITING for count in self.waiting.values()),
            "refresh": self.refresh.oldest_seconds > MAX_REFRESH_SECONDS,
            "verify": self.verify is not None and self.verify.differences > 0,
            "webhooks": self.webhooks.disabled > 0,
            "segments": bool(self.invalid_segments),
        }
        return [name for name, is_bad in checks.items() if is_bad]


async def measure(database: Database, tenant: Tenant) -> DataHealth:
    """Measures the state of a community's data."""
    async with database.read_transaction(tenant.community_id) as scope:
        newest = await scope.fetchrow(NEWEST_FACTS, scope.community_id, scope.now)
        latest_loads = await load_runs.list_latest(scope, 1)
        return DataHealth(
            stores=await _stores(scope),
            newest=dict(newest),
            last_load_at=latest_loads[0].finished_at if latest_loads else None,
            rejected_loads=await load_runs.list_latest(scope, MAX_LOADS, only_rejected=True),
            waiting={
                each.name: await metric.measure(scope)
                for each in FACT_TYPES
                for metric in each.metrics
                if each.compaction is not None
            },
            refresh=await refresh_due.measure_community(scope),
            verify=await verify_runs.find_latest(scope),
            webhooks=await backlog.measure_community(scope),
            invalid_segments=await _invalid_segments(scope, tenant),
        )


async def _stores(scope: Scope) -> list[StoreHealth]:
    rows = await scope.fetch(_STORES, scope.community_id, scope.now, scope.now - timedelta(days=USUAL_DAYS))
    return [_store(row, scope.now) for row in rows]


def _store(row: Any, now: datetime) -> StoreHealth:
    usual = row["usual_days"] if row["days_with_sales"] >= MIN_DAYS else None
    last = row["last_sale_at"]
    if last is None:
        status = "none"
    elif usual is None:
        status = "unknown"
    else:
        # Days are days with sales, so a shop that sells daily may pause from one morning to the next evening.
        status = "late" if now - last > LATE_FACTOR * timedelta(days=max(usual, 1)) else "on_time"
    return StoreHealth(row["id"], row["name"], row["external_id"], last, usual, status)


async def _invalid_segments(scope: Scope, tenant: Tenant) -> list[InvalidSegmentHealth]:
    stored = await definitions.load(scope, tenant.segments_version)
    return [InvalidSegmentHealth(name, each.problem) for name, each in stored.filters.items() if each.problem]
