"""Handles the webhooks of providers: identify the community, verify the signature, record the events."""

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


async def respond(app: AppContext, endpoint: Endpoint, request: Request) -> Response:
    """The response to a webhook; errors become responses, 5xx only if the same request may succeed later."""
    provider = endpoint.provider
    assert provider is not None, f"{endpoint.path} has no provider"  # noqa: S101
    try:
        return await _handle(app, endpoint, provider, request)
    except UntrustedRequestError as error:
        return _error_response(401, str(error))
    except MalformedBodyError as error:
        _log.info("request.malformed", method=endpoint.method, path=endpoint.path, reason=str(error))
        return _error_response(400, str(error))
    except ApiError as error:
        return errors.error_response(error)
    except UpstreamUnavailableError as error:
        _log.warning("provider.unavailable", provider=provider.name, reason=str(error))
        return errors.error_response(ApiError(503, str(error), headers=errors.RETRY_AFTER_HEADER))
    except Exception as error:
        invalid = as_validation_error(error)
        if invalid is None:
            errors.log_failure(endpoint.method, endpoint.path, error)
            return errors.error_response(error)
        log_database_error(error)
        return Response(_validation_body(invalid), provider.rejection_status, media_type="application/json")


def _error_response(status: int, message: str) -> Response:
    return Response(errors.error_body(message), status, media_type="application/json")


def _validation_body(invalid: ValidationError) -> bytes:
    return errors.error_body(
        errors.validation_message(invalid.errors), {path: text for path, text in invalid.errors.items() if path}
    )


async def _handle(app: AppContext, endpoint: Endpoint, provider: Provider, request: Request) -> Response:
    community_id, config = await _find_config(app, provider, request.path_params["community"])
    content = await provider.parse(await _webhook_request(app, request), config, app.https_client)
    # The verified signature authenticates the community.
    principal = Principal(PrincipalKind.PROVIDER, community_id=community_id)
    authorize(endpoint.access, principal, request.path_params)
    if content.notice:
        return Response(encode({"message": content.notice}), media_type="application/json")
    work = partial(handle, provider=provider, config=config, webhook=content)
    result = await commit(app.database, community_id, work)
    request.app.state.metrics_exporter.observe_provider_events(provider.name, result.counts)
    status = provider.rejection_status if result.is_all_rejected else 200
    return Response(encode(_response_body(result)), status, media_type="application/json")


async def _find_config(app: AppContext, provider: Provider, slug: str) -> tuple[int, ProviderConfig]:
    """The id of the community with this slug, and its configuration of the provider. Raises UntrustedRequestError."""
    if communities.is_valid_slug(slug):
        try:
            async with app.database.unscoped_connection() as connection:
                community = await communities.get_by_slug(connection, slug)
            async with app.database.read_transaction(community.id) as scope:
                config = await providers.get(scope, provider.name)
        except NotFoundError:
            config = None
        if config is not None:
            return community.id, config
    raise UntrustedRequestError(
        f"{provider.title} is not set up for this community: "
        f"set its key with `regulars provider set {provider.name} --community SLUG`."
    )


async def _webhook_request(app: AppContext, request: Request) -> WebhookRequest:
    return WebhookRequest(
        urls=app.public_address.signable_urls(request.scope),
        query=request.scope["query_string"].decode("latin-1"),
        headers=request.headers,
        body=await bodies.read_body(request, app.settings.max_request_bytes),
        received_at=app.database.clock(),
    )


def _response_body(result: WebhookResult) -> dict[str, object]:
    rejections = [
        {
            "index": index,
            "reason": errors.validation_message(invalid.errors),
            "errors": {path: [text] for path, text in invalid.errors.items() if path},
        }
        for index, invalid in result.rejections.items()
    ]
    return {**result.counts, "rejections": rejections}
