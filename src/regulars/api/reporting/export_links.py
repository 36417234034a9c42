"""Signed links to files of exports: a client that has one needs no token until the link expires."""

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode
from uuid import UUID

from regulars.auth import signing_keys
from regulars.auth.errors import AccessDenied
from regulars.exports.export_table import Export
from regulars.web.context import AppContext

FILE_PATH = "/v1/reporting/exports/{id}/file"

_PURPOSE = "exports"


async def signed_url(app: AppContext, origin: str, export: Export, now: datetime) -> str:
    """A link to the file of an export, valid for the time of the setting and until the export expires."""
    expires_at = now + timedelta(seconds=app.settings.export_link_seconds)
    expires = int(min(expires_at, export.expires_at or expires_at).timestamp())
    query = {
        "organization": export.organization_id,
        "expires": expires,
        "signature": await _signature(app, export.organization_id, export.id, expires),
    }
    return f"{origin}{FILE_PATH.format(id=export.id)}?{urlencode(query)}"


async def verify(app: AppContext, export_id: UUID, organization: str, expires: str, signature: str) -> int:
    """Returns the organization of a link. Raises AccessDenied, 401, for a link that is forged or has expired."""
    denied = AccessDenied(
        401,
        "The link is invalid or has expired. GET the export for a new one.",
        {"WWW-Authenticate": "Bearer"},
    )
    if not all(each.isascii() and each.isdigit() and len(each) <= 12 for each in (organization, expires)):
        raise denied
    expected = await _signature(app, int(organization), export_id, int(expires))
    if not hmac.compare_digest(expected.encode(), signature.encode()):
        raise denied
    if datetime.fromtimestamp(int(expires), UTC) <= app.database.clock():
        raise denied
    return int(organization)


async def _signature(app: AppContext, organization_id: int, export_id: UUID, expires: int) -> str:
    async with app.database.unscoped_connection() as connection:
        key = await signing_keys.get_or_create(connection, _PURPOSE, app.database.clock())
    return hmac.new(key, f"{organization_id}.{export_id}.{expires}".encode(), hashlib.sha256).hexdigest()
