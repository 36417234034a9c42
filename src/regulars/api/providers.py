"""Webhooks of providers of mail and SMS."""

from collections.abc import Mapping, Sequence
from typing import Any

from regulars.auth.authorization import Caller
from regulars.ingest.providers.handler import EVENT_OUTCOMES
from regulars.ingest.providers.provider import Provider
from regulars.ingest.providers.registry import PROVIDERS
from regulars.web.endpoint import Endpoint, EndpointSchema

BASE_PATH = "/v1/communities/{community}/providers"

_MEANINGS = {
    "loaded": "Events that were kept.",
    "unchanged": "Events that were there already.",
    "ignored": "Events of a kind that is none of ours.",
    "by_machine": "Opens and clicks that no member has done, as the provider says.",
    "unnamed": "Events of messages that name no sending.",
    "rejected": "Events that can't be taken as they are.",
}

_GIVES: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **{name: {"type": "integer", "description": _MEANINGS[name]} for name in EVENT_OUTCOMES},
        "rejections": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer", "description": "The place of the event in the request, from 0."},
                    "reason": {"type": "string"},
                    "errors": {
                        "type": "object",
                        "additionalProperties": {"type": "array", "items": {"type": "string"}},
                    },
                },
            },
        },
        "message": {"type": "string", "description": "What was done, where it was not about events."},
    },
}

_ANSWER: Mapping[str, object] = {**dict.fromkeys(EVENT_OUTCOMES, 0), "loaded": 1, "rejections": []}


def _takes(provider: Provider) -> Mapping[str, Any]:
    one = {"type": "object", "additionalProperties": True}
    return {"type": "array", "items": one} if isinstance(provider.example, Sequence) else one


def _endpoint(provider: Provider) -> Endpoint:
    return Endpoint(
        "POST",
        f"{BASE_PATH}/{provider.name}",
        f"Take events of sendings as {provider.title} tells them",
        provider=provider,
        schema=EndpointSchema(
            _takes(provider), _GIVES, {"delivered": (provider.example, _ANSWER)}, provider.media_type
        ),
        caller=Caller.PROVIDER,
        tag="providers",
    )


ENDPOINTS: tuple[Endpoint, ...] = tuple(map(_endpoint, PROVIDERS))
"""An endpoint each."""
