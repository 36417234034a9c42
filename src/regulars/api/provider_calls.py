"""From a provider's request to its answer: whose it is, what it tells, and what became of that."""

from functools import partial

import structlog
from starlette.requests import Request
from starlette.responses import Response

from regulars.access.authorization import authorize
from regulars.access.principals import Principal, PrincipalKind
from regulars.api import errors
from regulars.api.endpoint import Endpoint
from regulars.api.errors import ApiError
from regulars.api.server import Server, encoded
from regulars.facts import community as communities
from regulars.facts import providers
from regulars.facts.providers import Setup
from regulars.facts.refusals import NotFound, Refused
from regulars.ingest.commit import commit
from regulars.ingest.providers.outside import OutOfReachError
from regulars.ingest.providers.provider import Delivery, Distrusted, Provider, UnreadableError
from regulars.ingest.providers.taking import Taken, take
from regulars.ingest.row_errors import log_refusal, refusal_of

_log = structlog.get_logger("regulars.api")


async def answer(server: Server, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint, whatever happens: 5xx only where the same request may go well later."""
    provider = endpoint.provider
    assert provider is not None, f"{endpoint.path} is no provider's"  # noqa: S101
    try:
        return await _answer(server, endpoint, provider, request)
    except Distrusted as distrusted:
        return _refused(401, str(distrusted))
    except UnreadableError as error:
        _log.info("request.malformed", method=endpoint.method, path=endpoint.path, why=str(error))
        return _refused(400, str(error))
    except ApiError as error:
        return errors.response(error)
    except OutOfReachError as error:
        _log.warning("provider.out_of_reach", provider=provider.name, why=str(error))
        return errors.response(ApiError(503, str(error), headers=errors.RETRY))
    except Exception as error:
        refused = refusal_of(error)
        if refused is None:
            errors.log_failure(endpoint.method, endpoint.path, error)
            return errors.response(error)
        log_refusal(error)
        return Response(_body(refused), provider.refused_by, media_type="application/json")


def _refused(status: int, message: str) -> Response:
    return Response(errors.body(message), status, media_type="application/json")


def _body(refused: Refused) -> bytes:
    return errors.body(
        errors.refusal_message(refused.errors), {path: text for path, text in refused.errors.items() if path}
    )


async def _answer(server: Server, endpoint: Endpoint, provider: Provider, request: Request) -> Response:
    community_id, setup = await _setup(server, provider, request.path_params["community"])
    content = await provider.read(await _delivery(server, request), setup, server.outside)
    # It is the signature that was just verified which stands for the community.
    principal = Principal(PrincipalKind.PROVIDER, community_id=community_id)
    authorize(endpoint.access, principal, request.path_params)
    if content.said:
        return Response(encoded({"message": content.said}), media_type="application/json")
    work = partial(take, provider=provider, setup=setup, content=content)
    taken = await commit(server.database, community_id, work)
    request.app.state.telemetry.told(provider.name, taken.counts)
    status = provider.refused_by if taken.is_refused else 200
    return Response(encoded(_told(taken)), status, media_type="application/json")


async def _setup(server: Server, provider: Provider, slug: str) -> tuple[int, Setup]:
    """The community of a slug, and how it has set the provider up. Raises Distrusted."""
    if communities.is_slug(slug):
        try:
            async with server.database.unscoped() as connection:
                community = await communities.by_slug(connection, slug)
            async with server.database.reading(community.id) as scope:
                setup = await providers.found(scope, provider.name)
        except NotFound:
            setup = None
        if setup is not None:
            return community.id, setup
    raise Distrusted(
        f"{provider.title} is not set up for this community: "
        f"`regulars provider set {provider.name} --community SLUG` gives it its key."
    )


async def _delivery(server: Server, request: Request) -> Delivery:
    return Delivery(
        urls=server.public_address.signed_urls(request.scope),
        query=request.scope["query_string"].decode("latin-1"),
        headers=request.headers,
        body=await server.body(request),
        at=server.database.clock(),
    )


def _told(taken: Taken) -> dict[str, object]:
    rejections = [
        {
            "index": place,
            "reason": errors.refusal_message(refused.errors),
            "errors": {path: [text] for path, text in refused.errors.items() if path},
        }
        for place, refused in taken.rejections.items()
    ]
    return {**taken.counts, "rejections": rejections}
