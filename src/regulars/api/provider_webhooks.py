"""From a provider's request to its answer: whose it is, what it tells, and what became of that."""

from functools import partial

import structlog
from starlette.requests import Request
from starlette.responses import Response

from regulars.auth.authorization import authorize
from regulars.auth.principals import Principal, PrincipalKind
from regulars.core.errors import NotFoundError, ValidationError
from regulars.ingest.commit import commit
from regulars.ingest.providers.handler import WebhookResult, handle
from regulars.ingest.providers.http_client import UpstreamUnavailableError
from regulars.ingest.providers.provider import MalformedBodyError, Provider, UntrustedRequestError, WebhookRequest
from regulars.ingest.row_errors import as_validation_error, log_database_error
from regulars.model import community as communities
from regulars.model import providers
from regulars.model.providers import ProviderConfig
from regulars.web import bodies, errors
from regulars.web.bodies import encode
from regulars.web.context import AppContext
from regulars.web.endpoint import Endpoint
from regulars.web.errors import ApiError

_log = structlog.get_logger("regulars.api")


async def respond(server: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint, whatever happens: 5xx only where the same request may go well later."""
    provider = endpoint.provider
    assert provider is not None, f"{endpoint.path} is no provider's"  # noqa: S101
    try:
        return await _answer(server, endpoint, provider, request)
    except UntrustedRequestError as distrusted:
        return _refused(401, str(distrusted))
    except MalformedBodyError as error:
        _log.info("request.malformed", method=endpoint.method, path=endpoint.path, why=str(error))
        return _refused(400, str(error))
    except ApiError as error:
        return errors.error_response(error)
    except UpstreamUnavailableError as error:
        _log.warning("provider.out_of_reach", provider=provider.name, why=str(error))
        return errors.error_response(ApiError(503, str(error), headers=errors.RETRY_AFTER_HEADER))
    except Exception as error:
        refused = as_validation_error(error)
        if refused is None:
            errors.log_failure(endpoint.method, endpoint.path, error)
            return errors.error_response(error)
        log_database_error(error)
        return Response(_body(refused), provider.rejection_status, media_type="application/json")


def _refused(status: int, message: str) -> Response:
    return Response(errors.error_body(message), status, media_type="application/json")


def _body(refused: ValidationError) -> bytes:
    return errors.error_body(
        errors.validation_message(refused.errors), {path: text for path, text in refused.errors.items() if path}
    )


async def _answer(server: AppContext, endpoint: Endpoint, provider: Provider, request: Request) -> Response:
    community_id, setup = await _setup(server, provider, request.path_params["community"])
    content = await provider.parse(await _delivery(server, request), setup, server.https_client)
    # It is the signature that was just verified which stands for the community.
    principal = Principal(PrincipalKind.PROVIDER, community_id=community_id)
    authorize(endpoint.access, principal, request.path_params)
    if content.notice:
        return Response(encode({"message": content.notice}), media_type="application/json")
    work = partial(handle, provider=provider, setup=setup, content=content)
    taken = await commit(server.database, community_id, work)
    request.app.state.metrics_exporter.observe_provider_events(provider.name, taken.counts)
    status = provider.rejection_status if taken.is_all_rejected else 200
    return Response(encode(_told(taken)), status, media_type="application/json")


async def _setup(server: AppContext, provider: Provider, slug: str) -> tuple[int, ProviderConfig]:
    """The community of a slug, and how it has set the provider up. Raises Distrusted."""
    if communities.is_valid_slug(slug):
        try:
            async with server.database.unscoped_connection() as connection:
                community = await communities.get_by_slug(connection, slug)
            async with server.database.read_transaction(community.id) as scope:
                setup = await providers.get(scope, provider.name)
        except NotFoundError:
            setup = None
        if setup is not None:
            return community.id, setup
    raise UntrustedRequestError(
        f"{provider.title} is not set up for this community: "
        f"`regulars provider set {provider.name} --community SLUG` gives it its key."
    )


async def _delivery(server: AppContext, request: Request) -> WebhookRequest:
    return WebhookRequest(
        urls=server.public_address.signable_urls(request.scope),
        query=request.scope["query_string"].decode("latin-1"),
        headers=request.headers,
        body=await bodies.read_body(request, server.settings.max_request_bytes),
        received_at=server.database.clock(),
    )


def _told(taken: WebhookResult) -> dict[str, object]:
    rejections = [
        {
            "index": place,
            "reason": errors.validation_message(refused.errors),
            "errors": {path: [text] for path, text in refused.errors.items() if path},
        }
        for place, refused in taken.rejections.items()
    ]
    return {**taken.counts, "rejections": rejections}
