"""Consents of a member in two views: consents with channel statuses, and the comms attributes of the Profile API.

Writing either view updates the other.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from regulars.core import validation
from regulars.core.errors import QuotingText

CHANNELS = ("email", "sms", "push", "phone", "post")
STATUS_CHANNELS = ("sms", "email", "push")
"""The channels that have a status."""

CHANNEL_STATUSES: Mapping[str, str] = {
    "enabled": "May be sent to.",
    "verified": "May be sent to, and the member has confirmed that it is theirs.",
    "hard_bounced": "Can't be reached.",
    "unsubscribed": "The member has declined.",
    "disabled": "Switched off.",
}
"""The descriptions of channel statuses by name."""

COMMS_FLAGS = ("optout", "bounced", "verification")
COMMS_ATTRIBUTES = tuple(f"{channel}_{part}" for channel in CHANNELS for part in ("promo", *COMMS_FLAGS))
"""The comms attributes that every response has, null where they are unknown."""

MAX_CONSENTS = 500
"""The maximum number of consents, and of comms attributes, of a profile."""

_READ_ONLY_COMMS = {"profile_id", "created_at", "updated_at"}


def marketing_consent(channel: str) -> str:
    """The name of the consent to marketing through a channel."""
    return f"{channel}_marketing"


_CONSENT_OF_PROMO = {f"{channel}_promo": marketing_consent(channel) for channel in CHANNELS}
_FLAGS_OF_CHANNEL = {channel: tuple(f"{channel}_{flag}" for flag in COMMS_FLAGS) for channel in CHANNELS}


@dataclass(frozen=True, slots=True)
class ReachRule:
    """When marketing reaches a member through a channel: it has one of `statuses`, and `consent`,
    if any, is granted.
    """

    channel: str
    statuses: tuple[str, ...]
    consent: str | None


REACH_RULES = (
    ReachRule("sms", ("verified",), marketing_consent("sms")),
    ReachRule("email", ("enabled", "verified"), marketing_consent("email")),
    ReachRule("push", ("enabled",), None),
)


@dataclass(frozen=True, slots=True)
class ConsentState:
    """The consents of a member, the status of each channel, and the comms attributes that follow from both."""

    consents: Mapping[str, bool] = field(default_factory=dict)
    statuses: Mapping[str, str | None] = field(default_factory=lambda: dict.fromkeys(STATUS_CHANNELS))
    comms: Mapping[str, Any] = field(default_factory=dict)

    def with_synced_comms(self) -> "ConsentState":
        """Returns the state with its comms attributes updated from its consents and statuses."""
        comms = dict(self.comms)
        for promo, consent in _CONSENT_OF_PROMO.items():
            comms[promo] = self.consents.get(consent)
        for channel, status in self.statuses.items():
            optout, bounced, verification = _FLAGS_OF_CHANNEL[channel]
            if status is None:
                comms[optout] = comms[bounced] = comms[verification] = None
                continue
            # A member who unsubscribed may have bounced before; a new opt-in makes the bounce visible again.
            comms[bounced] = status == "hard_bounced" or (status == "unsubscribed" and bool(comms.get(bounced)))
            comms[optout] = status == "unsubscribed"
            comms[verification] = _verification(status, comms.get(verification))
        known = {name: value for name, value in comms.items() if value is not None}
        return ConsentState(self.consents, self.statuses, known)


def _verification(status: str, before: object) -> object:
    if status == "verified":
        return "verified"
    if before is None or (status == "enabled" and before == "verified"):
        return "not_sent"
    return before


def leave_contacts(
    state: ConsentState,
    before: Mapping[str, str | None],
    after: Mapping[str, str | None],
    comms: Collection[str],
    statuses: Collection[str],
) -> ConsentState:
    """Returns the state of a member without what is known of the former addresses of channels, before the write that
    changes them is applied.

    That an address is verified or bounced does not hold for another one; that the member has declined, or that the
    channel is switched off, does. The `comms` attributes and the `statuses` of channels that the write contains remain:
    they are those of the new addresses.
    """
    changed = [channel for channel in CHANNELS if before.get(channel) != after.get(channel)]
    if not changed:
        return state
    flags = {flag for channel in changed for flag in _FLAGS_OF_CHANNEL[channel][1:]} - set(comms)
    remaining = {name: value for name, value in state.comms.items() if name not in flags}
    known = dict(state.statuses)
    for channel in changed:
        status = known.get(channel)
        is_of_address = status in ("verified", "hard_bounced") or (status == "enabled" and after.get(channel) is None)
        if is_of_address and channel not in statuses:
            of_flags = _status_of(channel, remaining)
            known[channel] = None if of_flags == "enabled" else of_flags
    return ConsentState(state.consents, known, remaining).with_synced_comms()


def follow_consents(before: ConsentState, state: ConsentState, contacts: Mapping[str, str | None]) -> ConsentState:
    """Returns the state after a write, with the statuses that follow from the consents where none is written.

    A channel is `enabled` for members who consent to its marketing, and for those without an answer whom it can reach,
    until they refuse or take the consent back. `contacts` are the addresses of channels.
    """
    statuses = dict(state.statuses)
    for channel, status in statuses.items():
        name = marketing_consent(channel)
        consent = state.consents.get(name)
        is_due = consent or (consent is None and contacts.get(channel) is not None)
        if is_due:
            statuses[channel] = status or "enabled"
        elif status == before.statuses[channel] == "enabled" and consent != before.consents.get(name):
            statuses[channel] = None
    if statuses == state.statuses:
        return state
    return ConsentState(state.consents, statuses, state.comms).with_synced_comms()


def unite(
    own: ConsentState,
    own_contacts: Mapping[str, str | None],
    other: ConsentState,
    other_contacts: Mapping[str, str | None],
) -> ConsentState:
    """Returns the state of two profiles that become one, with the own addresses and those of the other that it lacks.

    Own consents have precedence; who refused is not enabled by the other profile. The status and flags of a channel
    belong to the address that stays; those of another address have no effect. Without an address, an unsubscription is
    valid for any, and the rest fills what is unknown.
    """
    statuses = dict(own.statuses)
    comms = {**other.comms, **own.comms}
    united = {**other.consents, **own.consents}
    for channel in CHANNELS:
        first, second = own, other
        contact, second_contact = own_contacts.get(channel), other_contacts.get(channel)
        if contact is None and second_contact is not None:
            first, second, contact, second_contact = other, own, second_contact, contact
        optout, *flags = _FLAGS_OF_CHANNEL[channel]
        is_declined = bool(first.comms.get(optout) or (second_contact is None and second.comms.get(optout)))
        if contact is not None:
            comms |= {flag: first.comms.get(flag) for flag in (optout, *flags)}
        if is_declined:
            comms[optout] = True
        if channel in statuses:
            source = first if first.statuses[channel] or contact is not None else second
            status, name = source.statuses[channel], marketing_consent(channel)
            if status == "enabled" and united.get(name) is False and source.consents.get(name) is not False:
                status = None
            statuses[channel] = "unsubscribed" if is_declined else status
    return ConsentState(united, statuses, comms).with_synced_comms()


# Validation ---------------------------------------------------------------------------------------------


def validate_status(text: str) -> str:
    """Validates the status of a channel. Raises ValueError."""
    if text not in CHANNEL_STATUSES:
        raise ValueError(f"must be one of {', '.join(CHANNEL_STATUSES)}")
    return text


def validate_consents(value: Mapping[str, Any]) -> dict[str, bool | None]:
    """Validates consents by name; null removes one. Raises ValueError."""
    return _validate_each(value, _validate_flag)


def validate_comms(value: Mapping[str, Any]) -> dict[str, Any]:
    """Validates comms attributes and drops the read-only ones. Raises ValueError."""
    writable = {name: each for name, each in value.items() if name not in _READ_ONLY_COMMS}
    return _validate_each(writable, _validate_comms_attribute)


def _validate_each(value: Mapping[str, Any], check: Callable[[str, Any], Any]) -> dict[str, Any]:
    if len(value) > MAX_CONSENTS:
        raise ValueError(f"must hold at most {MAX_CONSENTS} names")
    validated = {}
    for name, each in value.items():
        if not name or len(validation.check_text(name)) > validation.MAX_TEXT_LENGTH:
            raise ValueError(f"must have names of 1 to {validation.MAX_TEXT_LENGTH} characters")
        validated[name] = check(name, each)
    return validated


def _validate_flag(name: str, value: object) -> bool | None:
    try:
        return msgspec.convert(value, bool | None, strict=False)
    except msgspec.ValidationError:
        expected = "must be true, false or null"
        raise ValueError(QuotingText(f"{name!r} {expected}", f"has a value that {expected}")) from None


def _validate_comms_attribute(name: str, value: object) -> object:
    channel, _, part = name.partition("_")
    if channel in CHANNELS and part in ("promo", "optout", "bounced"):
        return _validate_flag(name, value)
    if channel in CHANNELS and part == "verification" and not isinstance(value, str | None):
        raise ValueError(QuotingText(f"{name!r} must be a text or null", "has a value that must be a text or null"))
    return validation.check_json(value)


# Updates ------------------------------------------------------------------------------------------------


def apply_comms(state: ConsentState, attributes: Mapping[str, Any]) -> ConsentState:
    """Returns the state after a write of comms attributes; only those that differ from the stored ones count."""
    changes = {name: value for name, value in attributes.items() if state.comms.get(name) != value}
    if not changes:
        return state
    comms = {**state.comms, **changes}
    consents = dict(state.consents)
    statuses = dict(state.statuses)
    for channel in CHANNELS:
        if f"{channel}_promo" in changes:
            _set_consent(consents, marketing_consent(channel), changes[f"{channel}_promo"])
    for channel in STATUS_CHANNELS:
        if any(f"{channel}_{flag}" in changes for flag in COMMS_FLAGS):
            statuses[channel] = _status_of(channel, comms)
    return ConsentState(consents, statuses, comms).with_synced_comms()


def _status_of(channel: str, comms: Mapping[str, Any]) -> str:
    if comms.get(f"{channel}_optout"):
        return "unsubscribed"
    if comms.get(f"{channel}_bounced"):
        return "hard_bounced"
    return "verified" if comms.get(f"{channel}_verification") == "verified" else "enabled"


def apply_consents(
    state: ConsentState, changes: Mapping[str, bool | None], statuses: Mapping[str, str | None]
) -> ConsentState:
    """Returns the state after a write of consents by name (null removes one) and of statuses by channel."""
    consents = dict(state.consents)
    for name, is_granted in changes.items():
        _set_consent(consents, name, is_granted)
    return ConsentState(consents, {**state.statuses, **statuses}, state.comms).with_synced_comms()


def _set_consent(consents: dict[str, bool], name: str, is_granted: bool | None) -> None:
    if is_granted is None:
        consents.pop(name, None)
    else:
        consents[name] = is_granted
