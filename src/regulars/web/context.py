"""From a request to its answer: who calls, what came in, one read or one commit, and what goes out."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from regulars.aggregations.reader import ValueReader
from regulars.auth.authentication import Authenticator
from regulars.auth.authorization import authorize
from regulars.auth.principals import Principal
from regulars.auth.rate_limit_leases import LeasedRateLimiter
from regulars.auth.rate_limits import BucketConfig
from regulars.geo.tenant_locations import TenantLocationCache
from regulars.geo.towns.files import TownFiles
from regulars.ingest import idempotency
from regulars.ingest.commit import commit, refresh_derived
from regulars.ingest.group_commit import WRITERS_PER_COMMUNITY, GroupCommitter
from regulars.ingest.providers.http_client import HttpsClient
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model.unit_of_work import UnitOfWork
from regulars.query.backends import Backends
from regulars.query.replica.cache import ReplicaCache
from regulars.reports.registry import REPORTS_BY_NAME
from regulars.reports.report import Report
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.web import bodies
from regulars.web.bodies import encode
from regulars.web.endpoint import Endpoint, RequestContext, WriteHandler, decode_body
from regulars.web.errors import ApiError
from regulars.web.fair_limiter import FairLimiter
from regulars.web.public_address import PublicAddress
from regulars.web.worker_threads import WorkerThreads

__all__ = ["CHARGE_SCOPE_KEY", "AppContext", "encode"]

CHARGE_SCOPE_KEY = "regulars.charge"
"""Where a request's scope holds what it was charged."""


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

    # One request ------------------------------------------------------------------------------------

    async def handle_request(self, endpoint: Endpoint, request: Request) -> Response:
        """The answer of an endpoint. Raises what `errors.response` turns into an answer."""
        principal = await self.authenticator.authenticate(endpoint.access, request.headers)
        await self._charge(principal, request)
        path = _texts(request.path_params)
        authorize(endpoint.access, principal, path)
        if endpoint.takes is not None:
            bodies.require_json(request)
        raw = await self.read_body(request) if endpoint.has_body and endpoint.streams is None else b""
        call = RequestContext(
            app=self,
            principal=principal,
            community_id=principal.community_id or 0,
            path_params=path,
            query_params=_texts(request.query_params) if request.scope["query_string"] else {},
            body=raw if endpoint.takes is None else await self.decode_body(raw, endpoint.takes),
            now=self.database.clock(),
            request=request,
        )
        if endpoint.streams is not None:
            return _response(endpoint.status, await endpoint.streams(call, request))
        if key := request.headers.get("idempotency-key", "") if request.method == "POST" else "":
            call.idempotency_key = idempotency.hash_key(
                key, f"POST {request.url.path}".encode(), raw, _namespace(call.principal)
            )
        if endpoint.reads is not None:
            return _response(endpoint.status, await endpoint.reads(call))
        assert endpoint.writes is not None, f"{endpoint.path} neither reads nor writes"  # noqa: S101
        return await self.run_write(call, endpoint.status, endpoint.writes)

    async def _charge(self, principal: Principal, request: Request) -> None:
        """Charges a request to the general rate limit of the caller's organization. Raises Denied 429 and 503."""
        organization_id = principal.organization_id
        if organization_id is None:
            if principal.community_id is None:
                # No organization to charge: the request has no credential and will be denied.
                return
            organization_id = (await self.group_committer.community(principal.community_id)).organization_id
        limits = self.general_rate_limits
        request.scope[CHARGE_SCOPE_KEY] = limits.try_charge(organization_id) or await limits.charge(organization_id)

    async def run_write(self, call: RequestContext, status: int, writes: WriteHandler) -> Response:
        """The answer of a handler that runs in one commit; the first one where the request is a repeated one.

        Raises what the handler raises, and Refused where the database can't keep what follows from it.
        """
        once = call.idempotency_key

        async def work(uow: UnitOfWork) -> Response:
            return _response(status, await writes(call, uow))

        async def work_once(uow: UnitOfWork) -> Response:
            async def first() -> tuple[int, bytes]:
                return status, encode(await writes(call, uow))

            assert once is not None  # noqa: S101
            kept, content = await idempotency.run_once(uow, once, first, _concerned(call))
            return Response(content, kept, media_type="application/json")

        try:
            return await commit(self.database, call.community_id, work if once is None else work_once)
        except asyncpg.PostgresError as error:
            refused = as_validation_error(error)
            if refused is None:
                raise
            log_database_error(error)
            raise refused from None

    async def read_body(self, request: Request) -> bytes:
        """The whole body of a request. Raises ApiError 413, and 400 where it breaks off."""
        return await bodies.read_body(request, self.settings.max_body_bytes)

    async def decode_body(self, body: bytes, shape: Any) -> Any:
        """A body as `endpoint.decoded` gives it, which raises; a large one in a worker thread."""
        if len(body) <= bodies.MAX_INLINE_BYTES:
            return decode_body(body, shape)
        bodies.require_value_limit(body, bodies.value_limit(shape))
        return await self.worker_threads.run(decode_body, body, shape)


def _namespace(principal: Principal) -> str:
    """The namespace of an idempotency key: the kind of caller, and the profile where the caller is bound to one.

    Not the token, so that a retry with a token that was rotated meanwhile gets the first response.
    """
    kind = principal.kind.name.lower()
    return kind if principal.profile_id is None else f"{kind}:{principal.profile_id}"


def _concerned(call: RequestContext) -> set[UUID]:
    """The profile that the path or the token names: a response may show it without a change of it."""
    if call.principal.profile_id is not None:
        return {call.principal.profile_id}
    try:
        return {UUID(call.path_params["id"])}
    except (KeyError, ValueError):
        return set()


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in values.items():
        text = str(value)
        if "\0" in text or "\0" in name:
            raise ApiError(422, f"{name} must not hold a NUL character.")
        found[name] = text
    return found


def _response(status: int, value: object) -> Response:
    if status == 204:
        return Response(status_code=204)
    if isinstance(value, Response):
        return value
    return Response(encode(value), status, media_type="application/json")
