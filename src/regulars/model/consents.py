"""Consents, one fact in two views: consents with statuses, and the comms attributes of the Profile API."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from regulars.core import validation

CHANNELS = ("email", "sms", "push", "phone", "post")
STATUS_CHANNELS = ("sms", "email", "push")
CHANNEL_STATUSES = ("enabled", "verified", "hard_bounced", "unsubscribed", "disabled")
COMMS_FLAGS = ("optout", "bounced", "verification")
COMMS_ATTRIBUTES = tuple(f"{channel}_{part}" for channel in CHANNELS for part in ("promo", *COMMS_FLAGS))
"""The comms attributes that always show, null where nothing is known."""

MAX_CONSENTS = 500
"""No profile has more consents, or more comms attributes."""

_NOT_OURS = {"profile_id", "created_at", "updated_at"}


@dataclass(frozen=True, slots=True)
class ConsentState:
    """What a member agreed to, how each channel stands, and the comms attributes that follow from both."""

    consents: Mapping[str, bool] = field(default_factory=dict)
    statuses: Mapping[str, str | None] = field(default_factory=lambda: dict.fromkeys(STATUS_CHANNELS))
    comms: Mapping[str, Any] = field(default_factory=dict)

    def with_synced_comms(self) -> "ConsentState":
        """It with comms attributes that say what consents and statuses say."""
        return _agreeing(self)


def validate_status(text: str) -> str:
    """The status of a channel. Raises ValueError for what is none."""
    if text not in CHANNEL_STATUSES:
        raise ValueError(f"must be one of {', '.join(CHANNEL_STATUSES)}")
    return text


def validate_consents(value: Mapping[str, Any]) -> dict[str, bool | None]:
    """Consents by name; null forgets one. Raises ValueError."""
    return _each(value, lambda name, answer: _flag(name, answer))


def validate_comms(value: Mapping[str, Any]) -> dict[str, Any]:
    """Comms attributes as they came in, without those that are told and never written. Raises ValueError."""
    return _each({name: each for name, each in value.items() if name not in _NOT_OURS}, _comms_value)


def _each(value: Mapping[str, Any], check: Any) -> dict[str, Any]:
    if len(value) > MAX_CONSENTS:
        raise ValueError(f"must hold at most {MAX_CONSENTS} names")
    found = {}
    for name, each in value.items():
        if not name or len(validation.check_text(name)) > validation.MAX_TEXT_LENGTH:
            raise ValueError(f"must have names of 1 to {validation.MAX_TEXT_LENGTH} characters")
        found[name] = check(name, each)
    return found


def _flag(name: str, value: object) -> bool | None:
    try:
        return msgspec.convert(value, bool | None, strict=False)
    except msgspec.ValidationError:
        raise ValueError(f"{name!r} must be true, false or null") from None


def _comms_value(name: str, value: object) -> object:
    channel, _, part = name.partition("_")
    if channel in CHANNELS and part in ("promo", "optout", "bounced"):
        return _flag(name, value)
    if channel in CHANNELS and part == "verification" and not isinstance(value, str | None):
        raise ValueError(f"{name!r} must be a text or null")
    return validation.check_json(value)


# Writing one view changes both ------------------------------------------------------------------------


def apply_comms(standing: ConsentState, written: Mapping[str, Any]) -> ConsentState:
    """The standing after comms attributes were written. What says nothing new changes nothing."""
    changes = {name: value for name, value in written.items() if standing.comms.get(name) != value}
    if not changes:
        return standing
    shown = {**standing.comms, **changes}
    consents = dict(standing.consents)
    statuses = dict(standing.statuses)
    for channel in CHANNELS:
        if f"{channel}_promo" in changes:
            _answer(consents, f"{channel}_marketing", changes[f"{channel}_promo"])
    for channel in STATUS_CHANNELS:
        # Who agrees to be written to without ever having had a status can be reached from now on.
        agrees = statuses[channel] is None and changes.get(f"{channel}_promo") is True
        if agrees or any(f"{channel}_{part}" in changes for part in COMMS_FLAGS):
            statuses[channel] = _status_of(channel, shown)
    return _agreeing(ConsentState(consents, statuses, shown))


def _status_of(channel: str, shown: Mapping[str, Any]) -> str:
    if shown.get(f"{channel}_optout"):
        return "unsubscribed"
    if shown.get(f"{channel}_bounced"):
        return "hard_bounced"
    return "verified" if shown.get(f"{channel}_verification") == "verified" else "enabled"


def apply_consents(
    standing: ConsentState, consents: Mapping[str, bool | None], statuses: Mapping[str, str | None]
) -> ConsentState:
    """The standing after consents (each by its name, null forgets it) and statuses were written."""
    answered = dict(standing.consents)
    for name, answer in consents.items():
        _answer(answered, name, answer)
    return _agreeing(replace(standing, consents=answered, statuses={**standing.statuses, **statuses}))


def _answer(consents: dict[str, bool], name: str, answer: bool | None) -> None:
    if answer is None:
        consents.pop(name, None)
    else:
        consents[name] = answer


def _agreeing(standing: ConsentState) -> ConsentState:
    comms = dict(standing.comms)
    for channel in CHANNELS:
        comms[f"{channel}_promo"] = standing.consents.get(f"{channel}_marketing")
    for channel, status in standing.statuses.items():
        optout, bounced, verification = (f"{channel}_{part}" for part in COMMS_FLAGS)
        if status is None:
            comms |= dict.fromkeys((optout, bounced, verification))
            continue
        # Who unsubscribed may have bounced before: taken back, the one uncovers the other.
        comms[bounced] = status == "hard_bounced" or (status == "unsubscribed" and bool(comms.get(bounced)))
        comms[optout] = status == "unsubscribed"
        comms[verification] = _verification(status, comms.get(verification))
    return replace(standing, comms={name: value for name, value in comms.items() if value is not None})


def _verification(status: str, before: object) -> object:
    if status == "verified":
        return "verified"
    if before is None or (status == "enabled" and before == "verified"):
        return "not_sent"
    return before
