"""Finds members by anything that a person knows of them."""

from collections.abc import Mapping
from typing import Any

from regulars.api.profile import member_schemas
from regulars.auth import audit_rules, permits
from regulars.auth.errors import AccessDenied
from regulars.core.errors import field_error
from regulars.core.time_forms import BLANKS
from regulars.core.timestamps import format_timestamp
from regulars.model.profiles import search
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint

_DEFAULT_LIMIT = 20


async def _find(context: RequestContext) -> dict[str, object]:
    text = context.query_params.get("q", "").strip(BLANKS)
    if not text or len(text) > search.MAX_TEXT_LENGTH:
        raise field_error("q", f"is required, with at most {search.MAX_TEXT_LENGTH} characters")
    limit = context.query_integer("limit", _DEFAULT_LIMIT, search.MAX_MATCHES)
    is_personal = permits.has_permit(context.principal.permits, permits.PROFILE_READ)
    if not is_personal and not search.is_id(text):
        raise AccessDenied(
            403,
            f"The token lacks the permit {permits.PROFILE_READ}, so it can find members by id and member id only. "
            f"Found: another text.",
        )
    async with context.app.database.read_transaction(context.community_id) as scope:
        found = await (search.find(scope, text, limit) if is_personal else search.find_by_id(scope, text))
        ids = [each.profile_id for each in found.matches]
        details = await search.fetch_details(scope, ids, is_personal=is_personal)
    return {
        "data": [{**_serialized(details[each.profile_id]), "matched": each.matched} for each in found.matches],
        "meta": {"limit": limit, "has_more": found.has_more},
    }


def _serialized(details: Mapping[str, Any]) -> dict[str, Any]:
    joined_at = details["joined_at"]
    return {**details, "joined_at": None if joined_at is None else format_timestamp(joined_at)}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v3/profiles/find",
        "Find profiles by name, e-mail address, phone, id, card or receipt",
        read_handler=_find,
        schema=member_schemas.FOUND_PROFILES,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILES,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        tag="profiles",
        query_params={
            "q": "A name in any order of words, also their beginnings; an e-mail address or its beginning; a phone number in "
            "any spelling; an id, member id or external id; the identifier of an identity, such as a card; a receipt. "
            "With the permit Profile:Aggregations alone, an id or member id.",
            "limit": f"At most {search.MAX_MATCHES}, by default {_DEFAULT_LIMIT}.",
        },
    ),
)
