"""The page of the API, where each endpoint can be tried: Swagger UI, whose files are in the folder swagger_ui."""

from collections.abc import Mapping
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from regulars.web.router import RequestHandler

_FILES = ("swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png")

PATHS = ("/api/openapi.json", "/api/docs", "/api/docs/start.js", *(f"/api/docs/{name}" for name in _FILES))
"""The paths of the OpenAPI document, the page and its files."""

# URLs are relative, so that the page works behind a path prefix of a proxy.
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

_SAME_ORIGIN_ONLY = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
}

_CACHE_HEADERS = {"Cache-Control": "private, max-age=3600"}
"""For files of the package, which contain no personal data."""


def page_handlers(document: bytes) -> Mapping[str, RequestHandler]:
    """The handlers of the pages, by their path. `document` is the OpenAPI document."""
    folder = Path(__file__).parent / "swagger_ui"

    async def openapi(request: Request) -> Response:
        return Response(document, media_type="application/json")

    async def page(request: Request) -> Response:
        return Response(_PAGE, headers=_SAME_ORIGIN_ONLY, media_type="text/html")

    async def start(request: Request) -> Response:
        return Response(_START, media_type="text/javascript")

    async def file(request: Request) -> Response:
        return FileResponse(folder / request.url.path.rpartition("/")[2], headers=_CACHE_HEADERS)

    return dict(zip(PATHS, (openapi, page, start, *(file for _ in _FILES)), strict=True))
