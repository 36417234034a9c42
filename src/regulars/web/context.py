"""What the requests of one process share: database, caches, limits and settings."""

import asyncio
from collections import Counter
from collections.abc import Mapping

from starlette.requests import Request

from regulars.aggregations.reader import ValueReader
from regulars.auth.authentication import Authenticator
from regulars.auth.rate_limit_leases import LeasedRateLimiter
from regulars.auth.rate_limits import BucketConfig
from regulars.geo.tenant_locations import TenantLocationCache
from regulars.geo.towns.files import TownFiles
from regulars.ingest.commit import refresh_derived
from regulars.ingest.group_commit import WRITERS_PER_COMMUNITY, GroupCommitter
from regulars.ingest.providers.http_client import HttpsClient
from regulars.model.unit_of_work import UnitOfWork
from regulars.query.backends import Backends
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Report
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web import bodies
from regulars.web.fair_limiter import FairLimiter
from regulars.web.public_address import PublicAddress
from regulars.web.worker_threads import WorkerThreads


class AppContext:
    """What all requests of one process share."""

    def __init__(self, settings: Settings, database: Database, reports: Mapping[str, Report] = REPORTS_BY_NAME) -> None:
        self.settings = settings
        self.public_address = PublicAddress(settings)
        self.database = database
        self.reports = reports
        self.backends = Backends(database, ReplicaCache(settings.copies_megabytes))
        self.tenant_locations = TenantLocationCache(self.backends)
        self.town_files = TownFiles(settings.cache)
        self.value_reader = ValueReader(database)
        self.https_client = HttpsClient()
        self.worker_threads = WorkerThreads()
        # Reports leave connections for other requests, and large ones, which block Python for long, leave time for
        # other reports.
        self.report_limiter = FairLimiter(max(1, settings.connections // 2))
        self.large_report_limiter = FairLimiter(1)
        # Several processes are as many writers already; more would only make their batches smaller.
        self.group_committer = GroupCommitter(
            database, settings.batch_rows, WRITERS_PER_COMMUNITY if settings.workers == 1 else 1
        )
        self.authenticator = Authenticator(database, settings.token_cache_seconds, settings.invalid_token_cache_seconds)
        self.general_rate_limits = LeasedRateLimiter(
            database, BucketConfig(settings.general_capacity, settings.general_refill)
        )
        self.stop_event = asyncio.Event()
        self.active_imports: Counter[int | None] = Counter()

    async def close(self) -> None:
        """Waits for the writes and reads that were accepted."""
        await self.general_rate_limits.close()
        await self.authenticator.close()
        await self.group_committer.finish()
        await self.value_reader.finish()
        self.worker_threads.close()

    async def refresh_derived(self, uow: UnitOfWork) -> None:
        """Makes what a writing touched true before its answer is read back."""
        await refresh_derived(uow, self.database.clock)

    async def read_body(self, request: Request) -> bytes:
        """The whole body of a request. Raises ApiError 413, and 400 where it breaks off."""
        return await bodies.read_body(request, self.settings.max_body_bytes)
