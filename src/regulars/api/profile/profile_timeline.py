"""The timeline of a profile: everything that happened to a member, latest first."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from regulars.api.profile import member_schemas
from regulars.auth import audit_rules, permits
from regulars.core.errors import field_error
from regulars.core.money import MinorDigits, from_minor_units, minor_digits
from regulars.core.timestamps import format_timestamp
from regulars.facts import timeline
from regulars.facts.timeline import Cursor, TimelineEvent
from regulars.model import community as communities
from regulars.model.profiles import lookup
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint

_DEFAULT_LIMIT = 50
_MAX_LIMIT = 200


async def _read(context: RequestContext) -> dict[str, object]:
    profile_id = context.path_uuid()
    limit = context.query_integer("limit", _DEFAULT_LIMIT, _MAX_LIMIT)
    cursor, kinds = _cursor(context), _kinds(context.query_params)
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        community = await communities.get_by_id(scope.connection, context.community_id)
        page = await timeline.read(scope, profile_id, cursor, limit, kinds)
    digits = minor_digits(community.currency)
    return {
        "data": [_event(each, digits) for each in page.events],
        "meta": {"limit": limit, "before": None if page.next_cursor is None else str(page.next_cursor)},
    }


def _cursor(context: RequestContext) -> Cursor:
    text = context.query_params.get("before", "")
    if not text:
        # An event of this instant has happened.
        return Cursor(context.now + timedelta(microseconds=1))
    try:
        return timeline.parse_cursor(text)
    except ValueError as error:
        raise field_error("before", str(error)) from None


def _kinds(query: Mapping[str, str]) -> list[str]:
    kinds = [name for part in query.get("kinds", "").split(",") if (name := part.strip())]
    for each in kinds:
        if each not in timeline.KIND_NAMES:
            raise field_error("kinds", f"has the unknown kind {each[:50]!r}. Allowed: {', '.join(timeline.KIND_NAMES)}")
    return kinds or list(timeline.KIND_NAMES)


def _event(event: TimelineEvent, digits: MinorDigits) -> dict[str, Any]:
    shown: dict[str, Any] = {
        name: format_timestamp(value) if isinstance(value, datetime) else value for name, value in event.fields.items()
    }
    if "amount" in shown:
        shown["amount"] = from_minor_units(shown["amount"], digits)
    return {"at": format_timestamp(event.at), "kind": event.kind, "type": event.type, "title": event.title, **shown}


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v3/profiles/{id}/timeline",
        "Get the timeline of a profile: memberships, transactions, messages, offers and visits",
        read_handler=_read,
        schema=member_schemas.TIMELINE,
        permit=permits.PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        alternative_permit=permits.PROFILE_AGGREGATIONS,
        subject="id",
        tag="profiles",
        query_params={
            "before": "A time, or `meta.before` of a page, after which the next one begins; by default now.",
            "limit": f"At most {_MAX_LIMIT}, by default {_DEFAULT_LIMIT}.",
            "kinds": f"Some of {', '.join(f'`{each}`' for each in timeline.KIND_NAMES)}, separated by commas; by default all.",
        },
    ),
)
