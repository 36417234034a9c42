"""Style sheets, scripts and images of the pages, with addresses that change with their content."""

import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response

PREFIX = "/static/"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
_COMPRESSED = frozenset({".css", ".js", ".svg", ".txt"})


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file with its content, also compressed, and the digest of its content."""

    name: str
    media_type: str
    content: bytes
    compressed: bytes | None
    digest: str


@cache
def _files() -> dict[str, StaticFile]:
    found = {}
    folders = (resources.files(package).joinpath("static") for package in ("regulars.dashboard", "regulars.charts"))
    for each in (file for folder in folders for file in folder.iterdir()):
        suffix = PurePosixPath(each.name).suffix
        if suffix in _MEDIA_TYPES:
            content = each.read_bytes()
            # Without a time, so that the same content gives the same bytes.
            compressed = gzip.compress(content, 9, mtime=0) if suffix in _COMPRESSED else None
            digest = hashlib.sha256(content).hexdigest()[:16]
            found[each.name] = StaticFile(each.name, _MEDIA_TYPES[suffix], content, compressed, digest)
    return found


@cache
def static_url(name: str) -> str:
    """The address of a file, which browsers may store for ever. Raises KeyError for an unknown file."""
    return f"{PREFIX}{_files()[name].digest}/{name}"


def respond(request: Request) -> Response | None:
    """The response with a file; None for an unknown file.

    Modules import each other by name, so any digest in the path leads to the current content.
    """
    digest, _, name = request.url.path.removeprefix(PREFIX).partition("/")
    file = _files().get(name)
    if file is None:
        return None
    is_current = digest == file.digest
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable" if is_current else "no-cache",
        "ETag": f'"{file.digest}"',
        "Vary": "Accept-Encoding",
    }
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if file.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.media_type)
    return Response(file.content, headers=headers, media_type=file.media_type)
