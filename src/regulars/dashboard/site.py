"""Serves the pages: finds the page, the session and the selected clubs, runs the handler and renders its answer."""

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import structlog
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from regulars.auth import sessions
from regulars.auth.errors import AccessDenied
from regulars.auth.sessions import Session
from regulars.auth.tenants import ALL_CUSTOMERS, Tenant, resolve_tenants, scope_of
from regulars.dashboard import cookies, forms, static_files, translations
from regulars.dashboard.api_client import ApiCallError, ApiClient
from regulars.dashboard.forms import CrossSiteFormError
from regulars.dashboard.page import Answer, Download, Json, Page, Section, View
from regulars.dashboard.page_paths import PagePaths
from regulars.dashboard.rendering import render
from regulars.dashboard.visit import ALL_CLUBS, Visit, Visitor
from regulars.web.bodies import encode
from regulars.web.context import AppContext
from regulars.web.errors import ApiError, is_unavailable, log_failure

_log = structlog.get_logger("regulars.dashboard")

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)

SIGN_IN_PATH = "/sign-in"

_HEADERS = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Referrer-Policy": "same-origin"}

_ADDRESS = re.compile(r'(?<= )(href|action|src|data-[a-z-]*url)="/')
"""Attributes with an address of this server. Text is escaped, so it contains no such attribute."""

_NOT_FOUND = Page("", "Page not found", None, is_public=True)  # type: ignore[arg-type]


class Site:
    """The pages of one process. `api` is the router of the public APIs."""

    def __init__(self, context: AppContext, api: ASGIApp, pages: Sequence[Page]) -> None:
        self._context = context
        self._api = api
        self._pages = PagePaths(pages)
        self._entries = [each for section in Section for each in pages if each.is_entry and each.section is section]
        # A proxy may serve the pages below a path.
        self._prefix = urlsplit(context.public_address.configured_url).path.rstrip("/")
        self._roots = {each.path.split("/")[1] for each in pages} | {static_files.PREFIX.strip("/")}

    def handles(self, segments: Sequence[str]) -> bool:
        """Whether a path is one of the pages, or below one."""
        return len(segments) > 1 and segments[1] in self._roots

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if scope["path"].startswith(static_files.PREFIX) and request.method in ("GET", "HEAD"):
            file = static_files.respond(request)
            if file is not None:
                await file(scope, receive, send)
                return
        response = await self._respond(request)
        if isinstance(response, _Forwarded):
            await response.api.forward(response.download.path, response.download.params, scope, receive, send)
            return
        for name, value in _HEADERS.items():
            response.headers[name] = value
        if self._prefix and response.headers.get("location", "").startswith("/"):
            response.headers["location"] = self._prefix + response.headers["location"]
        await response(scope, receive, send)

    # Steps of a request -------------------------------------------------------------------------------------

    async def _respond(self, request: Request) -> "Response | _Forwarded":
        public_url = self._context.public_address.url(request.scope)
        is_secure = public_url.startswith("https:")
        segments = request.scope.get("path_segments") or request.url.path.split("/")
        found = self._pages.find(segments)
        page, path = found or (_NOT_FOUND, {})
        visit = self._visit(request, path, public_url)
        try:
            secret = cookies.session_secret(request, is_secure=is_secure)
            session = await sessions.find(self._context.database, secret) if secret else None
            if session is None and not page.is_public:
                return _to_sign_in(request)
            visit = await self._with_session(visit, page, session, secret)
            if found is None:
                return self._error(visit, page, HTTPStatus.NOT_FOUND)
            if request.method not in ("GET", "HEAD", *(["POST"] if page.handles_forms else [])):
                return self._error(visit, page, HTTPStatus.METHOD_NOT_ALLOWED)
            if not page.is_allowed(visit.user):
                return self._error(visit, page, HTTPStatus.FORBIDDEN, permit=page.permit)
            if request.method == "POST":
                forms.require_same_site(request, public_url)
                visit = self._with_form(visit, await forms.read_form(request, secret if session else ""))
            if page.needs_one_club and not page.is_public and not visit.clubs:
                return self._error(visit, page, HTTPStatus.FORBIDDEN, has_no_club=True)
            answer = await page.handler(visit)
            return self._response(visit, page, answer, is_secure=is_secure)
        except CrossSiteFormError:
            return self._error(visit, page, HTTPStatus.FORBIDDEN, is_cross_site=True)
        except ApiCallError as error:
            return self._failed_call(visit, page, error)
        except (ApiError, AccessDenied) as error:
            return self._error(visit, page, error.status, message=str(error))
        except Exception as error:
            log_failure(request.method, page.path or "/", error)
            status = HTTPStatus.SERVICE_UNAVAILABLE if is_unavailable(error) else HTTPStatus.INTERNAL_SERVER_ERROR
            return self._error(visit, page, status)

    def _visit(self, request: Request, path: Mapping[str, str], public_url: str) -> Visit:
        """The visit of someone who has not signed in."""
        query = _query_lists(request)
        preferred = request.cookies.get(cookies.LANGUAGE, "")
        return Visit(
            app=self._context,
            api=ApiClient(self._api, None, ()),
            user=Visitor(None),
            locale=translations.choose(preferred, request.headers.get("accept-language", "")),
            now=self._context.database.clock(),
            method=request.method,
            url_path=request.url.path,
            path=path,
            query=forms.last(query),
            query_lists=query,
            form={},
            form_lists={},
            all_clubs=(),
            clubs=(),
            address=self._context.public_address.client_address(request.scope),
            user_agent=request.headers.get("user-agent", ""),
            server_url="{0.scheme}://{0.netloc}".format(urlsplit(public_url)) + self._prefix,
            attempt=cookies.attempt(request),
            form_token="",
            notice=cookies.notice(request),
        )

    async def _with_session(self, visit: Visit, page: Page, session: Session | None, secret: str) -> Visit:
        """The visit with the session, and the clubs that the person has access to and has selected."""
        if session is None:
            return visit
        async with self._context.database.unscoped_connection() as connection:
            try:
                found = await resolve_tenants(connection, scope_of(session.principal), [ALL_CUSTOMERS], [])
            except AccessDenied:
                found = ()
        all_clubs = sorted(found, key=lambda each: (each.name.casefold(), each.slug))
        clubs = _selected(all_clubs, visit.query.get("club", ""), needs_one=page.needs_one_club)
        return replace(
            visit,
            api=ApiClient(self._api, session.principal, clubs, address=visit.address),
            user=Visitor(session),
            all_clubs=all_clubs,
            clubs=clubs,
            form_token=sessions.form_token(secret),
        )

    def _with_form(self, visit: Visit, fields: forms.Fields) -> Visit:
        form = forms.last(fields)
        principal = visit.user.principal
        key = form.get(forms.ONCE_FIELD, "")[:100]
        api = ApiClient(self._api, principal, visit.clubs, address=visit.address, idempotency_key=key)
        return replace(visit, form=form, form_lists=fields, api=api)

    # Answers ------------------------------------------------------------------------------------------------

    def _response(self, visit: Visit, page: Page, answer: Answer, *, is_secure: bool) -> "Response | _Forwarded":
        if isinstance(answer, Download):
            return _Forwarded(visit.api, answer)
        if isinstance(answer, Json):
            return Response(encode(answer.value), answer.status, media_type="application/json")
        if isinstance(answer, View):
            page_response = HTMLResponse(self._html(visit, page, answer), answer.status)
            if visit.notice:
                cookies.clear_notice(page_response)
            return page_response
        response = RedirectResponse(answer.path, HTTPStatus.SEE_OTHER)
        if answer.notice:
            cookies.set_notice(response, answer.notice, is_secure=is_secure)
        if answer.session_secret is not None:
            if answer.session_secret:
                cookies.set_session(response, answer.session_secret, is_secure=is_secure)
            else:
                cookies.clear_session(response, is_secure=is_secure)
        if answer.attempt is not None:
            cookies.set_attempt(response, answer.attempt, is_secure=is_secure)
        if answer.language:
            cookies.set_language(response, answer.language, is_secure=is_secure)
        return response

    def _html(self, visit: Visit, page: Page, view: View) -> str:
        values = {"once": secrets.token_urlsafe(12), **view.values}
        html = render(view.template, visit, page, self._entries, values)
        return _ADDRESS.sub(rf'\1="{self._prefix}/', html) if self._prefix else html

    def _failed_call(self, visit: Visit, page: Page, error: ApiCallError) -> Response:
        """The page that explains an error response of the APIs."""
        status = error.status or HTTPStatus.GATEWAY_TIMEOUT
        response = self._error(visit, page, status, message=error.message, details=error.details)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response

    def _error(self, visit: Visit, page: Page, status: int, **values: Any) -> Response:
        if visit.url_path.endswith(".json"):
            return Response(encode({"error": values.get("message", "")}), status, media_type="application/json")
        defaults = {
            "status": int(status),
            "message": "",
            "details": {},
            "permit": "",
            "has_no_club": False,
            "is_cross_site": False,
        }
        return HTMLResponse(self._html(visit, page, View("error.html", defaults | values)), status)


class _Forwarded:
    """A response of the API that is passed on."""

    def __init__(self, api: ApiClient, download: Download) -> None:
        self.api = api
        self.download = download


def _query_lists(request: Request) -> Mapping[str, Sequence[str]]:
    lists: dict[str, list[str]] = {}
    text = request.scope["query_string"].decode("latin-1")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=forms.MAX_FIELDS)
    except ValueError:
        pairs = []
    for name, value in pairs:
        lists.setdefault(name, []).append(value.replace("\0", ""))
    return lists


def _selected(all_clubs: Sequence[Tenant], text: str, *, needs_one: bool) -> Sequence[Tenant]:
    """The clubs that the parameter `club` names; without a known one, all clubs or the first."""
    slugs = text.split(",")
    named = [each for each in all_clubs if each.slug in slugs] if text != ALL_CLUBS else list(all_clubs)
    named = named or list(all_clubs)
    return named[:1] if needs_one else named


def _to_sign_in(request: Request) -> Response:
    """Leads to the sign-in, and from there back to this page."""
    if request.url.path.endswith(".json"):
        body = {"error": "The session has ended. Sign in again."}
        return Response(encode(body), HTTPStatus.UNAUTHORIZED, media_type="application/json")
    query = request.scope["query_string"].decode("latin-1")
    target = request.url.path + (f"?{query}" if query else "")
    is_start = request.method != "GET" or target == "/"
    return RedirectResponse(
        SIGN_IN_PATH if is_start else f"{SIGN_IN_PATH}?next={quote(target[:2000], safe='')}", HTTPStatus.SEE_OTHER
    )


def local_target(text: str) -> str:
    """The page to go to after signing in: `text` if it is a path of this server, else the start page."""
    parts = urlsplit(text)
    is_local = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if is_local and text.isprintable() and "\\" not in text else "/"
