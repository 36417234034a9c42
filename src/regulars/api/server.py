"""From a request to its answer: who calls, what came in, one read or one commit, and what goes out."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

import asyncpg
from starlette.requests import Request
from starlette.responses import Response

from regulars.access.authentication import Authenticator
from regulars.access.authorization import authorize
from regulars.access.leases import GeneralLimits
from regulars.access.principals import Principal
from regulars.access.rate_limits import Limit
from regulars.aggregations.reading import Reader
from regulars.api import bodies
from regulars.api.bodies import encoded
from regulars.api.endpoint import Call, Endpoint, Writes, decoded
from regulars.api.errors import ApiError
from regulars.api.fair_limiter import FairLimiter
from regulars.api.public_address import PublicAddress
from regulars.api.worker_threads import WorkerThreads
from regulars.facts.writing import Writing
from regulars.ingest import idempotency
from regulars.ingest.commit import commit, settle
from regulars.ingest.grouping import LANES, Committers
from regulars.ingest.providers.outside import Outside
from regulars.ingest.row_errors import log_refusal, refusal_of
from regulars.query.columns import Copies
from regulars.query.execution import Stores
from regulars.query.own_locations import OwnLocations
from regulars.reports.registry import BY_NAME
from regulars.reports.report import Report
from regulars.settings import Settings
from regulars.storage.database import Database
from regulars.towns.atlas import Atlas

__all__ = ["CHARGE", "Server", "encoded"]

CHARGE = "regulars.charge"
"""Where a request's scope holds what it was charged."""


class Server:
    """What all requests of one process share."""

    def __init__(self, settings: Settings, database: Database, reports: Mapping[str, Report] = BY_NAME) -> None:
        self.settings = settings
        self.public_address = PublicAddress(settings)
        self.database = database
        self.reports = reports
        self.stores = Stores(database, Copies(settings.copies_megabytes))
        self.locations = OwnLocations(self.stores)
        self.atlas = Atlas(settings.cache)
        self.reader = Reader(database)
        self.outside = Outside()
        self.worker_threads = WorkerThreads()
        # Reports leave connections for other requests, and large ones, which block Python for long, leave time for
        # other reports.
        self.report_limiter = FairLimiter(max(1, settings.connections // 2))
        self.large_report_limiter = FairLimiter(1)
        # Several processes are as many writers already; more would only make their batches smaller.
        self.committers = Committers(database, settings.batch_rows, LANES if settings.workers == 1 else 1)
        self.authenticator = Authenticator(database, settings.token_cache_seconds, settings.invalid_token_cache_seconds)
        self.general_limits = GeneralLimits(database, Limit(settings.general_capacity, settings.general_refill))
        self.stopping = asyncio.Event()
        self.active_imports: Counter[int | None] = Counter()

    async def finish(self) -> None:
        """Waits for the writes and reads that were accepted."""
        await self.general_limits.finish()
        await self.authenticator.finish()
        await self.committers.finish()
        await self.reader.finish()
        self.worker_threads.close()

    async def settle(self, writing: Writing) -> None:
        """Makes what a writing touched true before its answer is read back."""
        await settle(writing, self.database.clock)

    # One request ------------------------------------------------------------------------------------

    async def answer(self, endpoint: Endpoint, request: Request) -> Response:
        """The answer of an endpoint. Raises what `errors.response` turns into an answer."""
        principal = await self.authenticator.principal(endpoint.access, request.headers)
        await self._charge(principal, request)
        path = _texts(request.path_params)
        authorize(endpoint.access, principal, path)
        if endpoint.takes is not None:
            bodies.require_json(request)
        raw = await self.body(request) if endpoint.has_body and endpoint.streams is None else b""
        call = Call(
            server=self,
            principal=principal,
            community_id=principal.community_id or 0,
            path=path,
            query=_texts(request.query_params) if request.scope["query_string"] else {},
            body=raw if endpoint.takes is None else await self.decoded(raw, endpoint.takes),
            now=self.database.clock(),
            request=request,
        )
        if endpoint.streams is not None:
            return _response(endpoint.status, await endpoint.streams(call, request))
        if key := request.headers.get("idempotency-key", "") if request.method == "POST" else "":
            call.once = idempotency.keyed(key, f"POST {request.url.path}".encode(), raw, _namespace(call.principal))
        if endpoint.reads is not None:
            return _response(endpoint.status, await endpoint.reads(call))
        assert endpoint.writes is not None, f"{endpoint.path} neither reads nor writes"  # noqa: S101
        return await self.written(call, endpoint.status, endpoint.writes)

    async def _charge(self, principal: Principal, request: Request) -> None:
        """Charges a request to the general rate limit of the caller's organization. Raises Denied 429 and 503."""
        organization_id = principal.organization_id
        if organization_id is None:
            if principal.community_id is None:
                # No organization to charge: the request has no credential and will be denied.
                return
            organization_id = (await self.committers.community(principal.community_id)).organization_id
        limits = self.general_limits
        request.scope[CHARGE] = limits.spend(organization_id) or await limits.charge(organization_id)

    async def written(self, call: Call, status: int, writes: Writes) -> Response:
        """The answer of a handler that runs in one commit; the first one where the request is a repeated one.

        Raises what the handler raises, and Refused where the database can't keep what follows from it.
        """
        once = call.once

        async def work(writing: Writing) -> Response:
            return _response(status, await writes(call, writing))

        async def work_once(writing: Writing) -> Response:
            async def first() -> tuple[int, bytes]:
                return status, encoded(await writes(call, writing))

            assert once is not None  # noqa: S101
            kept, content = await idempotency.answered(writing, once, first, _concerned(call))
            return Response(content, kept, media_type="application/json")

        try:
            return await commit(self.database, call.community_id, work if once is None else work_once)
        except asyncpg.PostgresError as error:
            refused = refusal_of(error)
            if refused is None:
                raise
            log_refusal(error)
            raise refused from None

    async def body(self, request: Request) -> bytes:
        """The whole body of a request. Raises ApiError 413, and 400 where it breaks off."""
        return await bodies.read(request, self.settings.max_body_bytes)

    async def decoded(self, body: bytes, shape: Any) -> Any:
        """A body as `endpoint.decoded` gives it, which raises; a large one in a worker thread."""
        if len(body) <= bodies.MAX_INLINE_BYTES:
            return decoded(body, shape)
        bodies.require_few_values(body, bodies.max_values(shape))
        return await self.worker_threads.run(decoded, body, shape)


def _namespace(principal: Principal) -> str:
    """The namespace of an idempotency key: the kind of caller, and the profile where the caller is bound to one.

    Not the token, so that a retry with a token that was rotated meanwhile gets the first response.
    """
    kind = principal.kind.name.lower()
    return kind if principal.profile_id is None else f"{kind}:{principal.profile_id}"


def _concerned(call: Call) -> set[UUID]:
    """The profile that the path or the token names: a response may show it without a change of it."""
    if call.principal.profile_id is not None:
        return {call.principal.profile_id}
    try:
        return {UUID(call.path["id"])}
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
    return Response(encoded(value), status, media_type="application/json")
