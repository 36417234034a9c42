"""Sets the channel statuses of members by what providers report: unsubscribes, complaints and hard bounces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parseaddr
from uuid import UUID

from regulars.core import phones, urls
from regulars.facts.sending_events import EVENT_TYPE_CODES, SendingEventRow, dispatch_keys
from regulars.ingest.providers.provider import Provider
from regulars.model.community import Community
from regulars.model.consents import STATUS_CHANNELS, apply_comms
from regulars.model.profiles import lookup
from regulars.model.profiles.schema import Profile
from regulars.model.profiles.write import save
from regulars.model.unit_of_work import UnitOfWork

FLAG_BY_EVENT_TYPE = {
    EVENT_TYPE_CODES["unsubscribed"]: ("optout", "sending.unsubscribed"),
    EVENT_TYPE_CODES["complained"]: ("optout", "sending.complained"),
    EVENT_TYPE_CODES["bounced"]: ("bounced", "sending.hard_bounced"),
}
"""The flag of the channel that an event sets, and the reason in the outbox. Of bounces, only the hard ones set it."""

_RECIPIENTS = """
SELECT input.row_no, dispatch.profile_id, sending.channel
FROM unnest($2::text[], $3::uuid[]) WITH ORDINALITY AS input (sending, dispatch_key_hash, row_no)
JOIN sendings AS sending ON sending.community_id = $1 AND sending.external_id = input.sending
JOIN sending_dispatches AS dispatch
  ON dispatch.community_id = $1
 AND dispatch.sending_id = sending.id
 AND dispatch.dispatch_key_hash = input.dispatch_key_hash
WHERE dispatch.profile_id IS NOT NULL
ORDER BY input.row_no
"""

# A row without changes of values, for the reason.
_OUTBOX = """
INSERT INTO outbox (community_id, day, profile_id, changed_at, reason, changes)
SELECT $1, CAST($4::timestamptz AS date), profile_id, $4, reason, '{}'
FROM unnest($2::uuid[], $3::text[]) AS changed (profile_id, reason)
"""


@dataclass(frozen=True, slots=True)
class _Change:
    profile_id: UUID
    channel: str
    recipient: str | None
    flag: str
    reason: str


async def update(uow: UnitOfWork, provider: Provider, events: Sequence[tuple[SendingEventRow, str | None]]) -> None:
    """Sets the statuses of the recipients of new events, which are stored; each with the address that it was sent to.

    A hard bounce does not replace an unsubscription: its flag is set, for the time after a new opt-in. The bounce of a
    former address sets nothing.
    """
    relevant = [(row, recipient) for row, recipient in events if row.event_type in FLAG_BY_EVENT_TYPE]
    if not relevant or not uow.community.updates_channel_statuses:
        return
    found = await uow.fetch(
        _RECIPIENTS,
        uow.community_id,
        [row.sending for row, _ in relevant],
        await dispatch_keys(uow, [row for row, _ in relevant]),
    )
    changes = [
        _Change(each["profile_id"], channel, recipient, *FLAG_BY_EVENT_TYPE[row.event_type])
        for each in found
        for row, recipient in (relevant[each["row_no"] - 1],)
        if (channel := each["channel"] or provider.channel) in STATUS_CHANNELS
    ]
    await _apply(uow, changes)


async def _apply(uow: UnitOfWork, changes: Sequence[_Change]) -> None:
    stored = await lookup.fetch_for_update(uow, sorted({each.profile_id for each in changes}))
    changed: dict[UUID, Profile] = {}
    reasons: dict[UUID, str] = {}
    for change in changes:
        before = changed.get(change.profile_id) or stored.get(change.profile_id)
        if before is None or before.deleted_at is not None or _is_of_former_address(before, change, uow.community):
            continue
        state = apply_comms(before.consent_state, {f"{change.channel}_{change.flag}": True})
        if state != before.consent_state:
            changed[change.profile_id] = before.with_consent_state(state)
            reasons[change.profile_id] = change.reason
    await save(uow, [(stored[profile_id], after) for profile_id, after in changed.items()])
    await _record(uow, reasons)


def _is_of_former_address(profile: Profile, change: _Change, community: Community) -> bool:
    """Whether an address bounced that is known not to be the profile's."""
    if change.flag != "bounced" or change.recipient is None:
        return False
    if change.channel == "sms":
        current, reported = profile.mobile_phone_e164, phones.to_e164(change.recipient, community.country)
    else:
        current = _normalize_email(profile.contacts.get(change.channel) or "")
        reported = _normalize_email(parseaddr(change.recipient)[1])
    return bool(current and reported) and current != reported


def _normalize_email(address: str) -> str:
    local, _, host = address.lower().rpartition("@")
    try:
        return f"{local}@{urls.normalize_host(host)}"
    except ValueError:
        return address.lower()


async def _record(uow: UnitOfWork, reasons: Mapping[UUID, str]) -> None:
    if not reasons:
        return
    await uow.execute(_OUTBOX, uow.community_id, list(reasons), list(reasons.values()), uow.now)
    for profile_id, reason in reasons.items():
        uow.mark_member_dirty(profile_id, reason)
        uow.record_event("profile.updated", profile_id)
