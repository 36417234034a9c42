"""The page to read and try the API at: Swagger UI, served from the installed package, offline too."""

from collections.abc import Mapping, Sequence
from importlib.metadata import distribution
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from regulars.web.endpoint import Endpoint
from regulars.web.openapi import openapi_document
from regulars.web.router import RequestHandler

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

PATHS = ("/api/openapi.json", "/api/docs", "/api/docs/start.js", *(f"/api/docs/{name}" for name in _FILES))
"""Where the document, the page and its files are."""

# Addresses are relative, so that the page works behind a proxy's prefix.
_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Regulars API</title>
<link rel="icon" href="docs/favicon-32x32.png">
<link rel="stylesheet" href="docs/swagger-ui.css">
</head>
<body>
<div id="api"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script src="docs/start.js"></script>
</body>
</html>
"""

_START = """SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#api",
  deepLinking: true,
  docExpansion: "list",
  filter: true,
  tryItOutEnabled: true,
  validatorUrl: null
});
"""

_NOTHING_FROM_ELSEWHERE = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

_CACHE_FOR_AN_HOUR = {"Cache-Control": "private, max-age=3600"}
"""For files of the package, which hold no data."""


def page_handlers(endpoints: Sequence[Endpoint]) -> Mapping[str, RequestHandler]:
    """The handlers of the pages at PATHS."""
    described = msgspec.json.encode(openapi_document(endpoints))
    folder = Path(str(distribution("swagger-ui-py").locate_file("swagger_ui/static")))

    async def openapi(request: Request) -> Response:
        return Response(described, media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(_PAGE, headers=_NOTHING_FROM_ELSEWHERE, media_type="text/html")

    async def start(request: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    async def file(request: Request) -> Response:
        return FileResponse(folder / request.url.path.rpartition("/")[2], headers=_CACHE_FOR_AN_HOUR)

    return dict(zip(PATHS, (openapi, page, start, *(file for _ in _FILES)), strict=True))
