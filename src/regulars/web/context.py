"""What handlers work with: the services of the process, and the checked request."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from starlette.requests import Request

from regulars.aggregations.reader import ValueReader
from regulars.auth import permits
from regulars.auth.authentication import Authenticator
from regulars.auth.authorization import Access
from regulars.auth.identity_provider import IdentityProvider
from regulars.auth.principals import Principal
from regulars.auth.rate_limit_leases import LeasedRateLimiter
from regulars.auth.rate_limits import BucketConfig
from regulars.auth.tenants import Tenant
from regulars.core import validation
from regulars.core.errors import NotFoundError, field_error
from regulars.geo.tenant_locations import TenantLocationCache
from regulars.geo.towns.files import TownFiles
from regulars.ingest.group_commit import GroupCommitter
from regulars.ingest.idempotency import IdempotencyKey
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.write_queue import WRITERS_PER_COMMUNITY
from regulars.query.backends import Backends
from regulars.query.query import SegmentFilters
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Report
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web.audit import DenialRecorder, RequestAudit, audits_all_tokens
from regulars.web.fair_limiter import FairLimiter
from regulars.web.public_address import PublicAddress
from regulars.web.worker_threads import WorkerThreads
from regulars.webhooks.client import WebhookClient
from regulars.webhooks.dispatcher import allowed_networks

PRINCIPAL_SCOPE_KEY = "regulars.principal"
"""The key of the principal in the ASGI scope of a call within the process. No client can set it."""


REPLICA_WAIT_SECONDS = 20.0
"""How long a request waits for the members of a community to be copied into memory, before it is answered 503."""


class AppContext:
    """The services that all requests of one process share."""

    def __init__(self, settings: Settings, database: Database, reports: Mapping[str, Report] = REPORTS_BY_NAME) -> None:
        self.settings = settings
        self.public_address = PublicAddress(settings)
        self.database = database
        self.reports = reports
        self.replicas = ReplicaCache(database, settings.replica_cache_mb)
        self.backends = Backends(database, self.replicas, REPLICA_WAIT_SECONDS)
        self.tenant_locations = TenantLocationCache(self.backends)
        self.town_files = TownFiles(settings.cache_dir)
        self.value_reader = ValueReader(database)
        self.https_client = HttpsClient()
        self.worker_threads = WorkerThreads()
        # Reports leave database connections for other requests. Encoding a large report occupies the interpreter, so
        # one at a time leaves processor time for the others.
        self.report_limiter = FairLimiter(max(1, settings.pool_max_size // 2))
        self.large_report_limiter = FairLimiter(1)
        # With several processes there are several writers already; more would only make the batches smaller.
        self.group_committer = GroupCommitter(
            database, settings.commit_max_rows, WRITERS_PER_COMMUNITY if settings.workers == 1 else 1
        )
        self.authenticator = Authenticator(
            database, settings.token_cache_ttl_seconds, settings.invalid_token_cache_ttl_seconds
        )
        self.identity_provider = IdentityProvider(settings)
        self.general_rate_limits = LeasedRateLimiter(
            database, BucketConfig(settings.general_burst, settings.general_rate_per_second)
        )
        self.audits_all_tokens = audits_all_tokens(settings)
        self.denials = DenialRecorder(database)
        self._webhook_client: WebhookClient | None = None
        self.stop_event = asyncio.Event()
        self.active_imports: Counter[int | None] = Counter()

    @property
    def webhook_client(self) -> WebhookClient:
        """The HTTP client of test calls."""
        if self._webhook_client is None:
            self._webhook_client = WebhookClient(allowed_networks(self.settings))
        return self._webhook_client

    async def authenticate(self, access: Access, request: Request) -> Principal:
        """The caller of a request: of a call within the process as it says, else by its credential.

        Raises AccessDenied as `Authenticator.authenticate` does.
        """
        principal: Principal | None = request.scope.get(PRINCIPAL_SCOPE_KEY)
        return principal or await self.authenticator.authenticate(access, request.headers)

    async def close(self) -> None:
        """Waits for the accepted writes and reads, and stops the worker threads."""
        if self._webhook_client is not None:
            await self._webhook_client.close()
        await self.general_rate_limits.close()
        await self.authenticator.close()
        await self.denials.close()
        await self.group_committer.finish()
        await self.value_reader.finish()
        await self.replicas.close()
        self.worker_threads.close()


@dataclass(slots=True)
class RequestContext:
    """A request of the Profile API after authentication and authorization, with its body decoded."""

    app: AppContext
    principal: Principal
    community_id: int
    path_params: Mapping[str, str]
    query_params: Mapping[str, str]
    body: Any
    now: datetime
    request: Request
    audit: RequestAudit
    idempotency_key: IdempotencyKey | None = None

    def require_permit(self, permit: str) -> None:
        """Raises AccessDenied, 403, if the caller lacks a permit that the endpoint needs for this request only."""
        permits.require_permit(self.principal.permits, permit)

    @property
    def url(self) -> str:
        """The public URL of the request, without its query."""
        return self.app.public_address.url(self.request.scope)

    @property
    def namespace(self) -> str | None:
        """The namespace that the caller names in X-Namespace. Raises ValidationError if it is too long."""
        text = self.request.headers.get("x-namespace", "").strip()
        if len(text) > validation.MAX_TEXT_LENGTH:
            raise field_error("X-Namespace", f"must be at most {validation.MAX_TEXT_LENGTH} characters")
        return text or None

    def path_integer(self, name: str) -> int:
        """An integer id in the path. Raises NotFoundError for other text."""
        text = self.path_params[name]
        if not text.isascii() or not text.isdigit() or len(text) > 18:
            raise NotFoundError(f"There is nothing with the id {text}.")
        return int(text)

    def query_integer(self, name: str, default: int, maximum: int) -> int:
        """An integer from 1 to `maximum` in the query. Raises ValidationError for another text."""
        text = self.query_params.get(name, "") or str(default)
        if not (text.isascii() and text.isdigit() and len(text) <= 18 and 1 <= int(text) <= maximum):
            raise field_error(name, f"must be an integer from 1 to {maximum}")
        return int(text)

    def path_uuid(self, name: str = "id") -> UUID:
        """A UUID in the path; for `id`, the caller's own profile if the token is bound to a profile."""
        if name == "id" and self.principal.profile_id is not None:
            return self.principal.profile_id
        try:
            return UUID(self.path_params[name])
        except ValueError:
            raise NotFoundError(f"There is no profile {self.path_params[name]}.") from None


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request of the Reporting API after authentication and authorization, with its raw body.

    `segments` are the filters of the segments that its tenants define.
    """

    app: AppContext
    principal: Principal
    tenants: tuple[Tenant, ...]
    path_params: Mapping[str, str]
    body: bytes
    now: datetime
    query_params: Mapping[str, str]
    segments: SegmentFilters
    request: Request
    audit: RequestAudit

    @property
    def organization_id(self) -> int:
        """The organization of the caller, which every caller of the Reporting API has."""
        assert self.principal.organization_id is not None  # noqa: S101 - callers without one were denied
        return self.principal.organization_id

    def require_permit(self, permit: str) -> None:
        """Raises AccessDenied, 403, if the caller lacks a permit that the endpoint needs for this request only."""
        permits.require_permit(self.principal.permits, permit)
