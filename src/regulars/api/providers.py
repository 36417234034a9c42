"""The endpoints of webhooks of e-mail and SMS providers."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.auth.authorization import Caller
from regulars.ingest.providers.handler import EVENT_OUTCOMES
from regulars.ingest.providers.provider import Provider
from regulars.ingest.providers.registry import PROVIDERS
from regulars.web.endpoint import Endpoint, EndpointSchema

BASE_PATH = "/v1/communities/{community}/providers"

_DESCRIPTIONS = {
    "accepted": "Events that were recorded.",
    "unchanged": "Events that were recorded before.",
    "ignored": "Events of a type that is not recorded.",
    "automated": "Opens and clicks by machines, according to the provider.",
    "no_sending": "Events of messages that do not name a sending.",
    "unknown_profile": "Events that name a profile that does not exist; each is listed in `rejections`.",
    "rejected": "Invalid events.",
}

_RESPONSE: Mapping[str, Any] = {
    "title": "ProviderResult",
    "type": "object",
    "properties": {
        **{name: {"type": "integer", "description": _DESCRIPTIONS[name]} for name in EVENT_OUTCOMES},
        "rejections": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer", "description": "Index of the event in the request, from 0."},
                    "reason": {"type": "string"},
                    "errors": {
                        "type": "object",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
        "message": {"type": "string", "description": "What was done, for requests without events."},
    },
}

_RESPONSE_EXAMPLE: Mapping[str, object] = {**dict.fromkeys(EVENT_OUTCOMES, 0), "accepted": 1, "rejections": []}


def _request_schema(provider: Provider) -> Mapping[str, Any]:
    one = {"type": "object", "additionalProperties": True}
    return {"type": "array", "items": one} if isinstance(provider.example, Sequence) else one


def _endpoint(provider: Provider) -> Endpoint:
    return Endpoint(
        "POST",
        f"{BASE_PATH}/{provider.name}",
        f"Record events of sendings from {provider.title}",
        provider=provider,
        schema=EndpointSchema(
            _request_schema(provider),
            _RESPONSE,
            {"delivered": (provider.example, _RESPONSE_EXAMPLE)},
            # Amazon sends JSON as text; generators of clients support it as JSON only.
            (provider.media_type, "application/json")
            if provider.media_type == "text/plain"
            else (provider.media_type,),
        ),
        caller=Caller.PROVIDER,
        tag="providers",
    )


ENDPOINTS: tuple[Endpoint, ...] = tuple(map(_endpoint, PROVIDERS))
