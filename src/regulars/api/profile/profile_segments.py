"""The segments that a profile is in."""

from regulars.api.profile import member_schemas
from regulars.auth import audit_rules, permits
from regulars.core.timestamps import format_timestamp
from regulars.model import community as communities
from regulars.model.profiles import lookup
from regulars.segments import definitions, reads
from regulars.segments.explain import Currency, segments_of
from regulars.web.context import RequestContext
from regulars.web.endpoint import Endpoint
from regulars.web.envelopes import data_envelope


async def _list(context: RequestContext) -> dict[str, object]:
    """The segments that the profile is in now, computed from the facts, each with the time since when if it is known."""
    profile_id = context.path_uuid()
    async with context.app.database.read_transaction(context.community_id) as scope:
        await lookup.require_active(scope, profile_id)
        community = await communities.get_by_id(scope.connection, context.community_id)
        stored = await definitions.load(scope, community.segments_version)
        currency = Currency(community.timezone, community.minor_digits)
        names = (await segments_of(scope, stored, [profile_id], currency))[profile_id]
        since = await reads.entered_since(scope, profile_id, stored.segments.values())
    return data_envelope(
        [
            {
                "name": name,
                "description": stored.segments[name].description,
                "since": format_timestamp(since[name]) if name in since else None,
                "known_since": known and format_timestamp(known),
            }
            for name in names
            for known in (stored.segments[name].known_since,)
        ]
    )


ENDPOINTS = (
    Endpoint(
        "GET",
        "/api/v3/profiles/{id}/segments",
        "List the segments that a profile is in",
        read_handler=_list,
        schema=member_schemas.SEGMENTS,
        permit=permits.SEGMENT_OF_PROFILE_READ,
        audit=audit_rules.READ_PROFILE,
        subject="id",
        tag="profiles",
    ),
)
