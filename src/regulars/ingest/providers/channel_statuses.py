"""Sets the channel statuses of members by what providers report: unsubscribes, complaints and hard bounces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from regulars.facts.sending_events import EVENT_TYPE_CODES, SendingEventRow, dispatch_keys
from regulars.ingest.providers.provider import Provider
from regulars.model.consents import STATUS_CHANNELS, apply_consents
from regulars.model.profiles import lookup
from regulars.model.profiles.schema import Profile
from regulars.model.profiles.write import save
from regulars.model.unit_of_work import UnitOfWork

STATUS_BY_EVENT_TYPE = {
    EVENT_TYPE_CODES["unsubscribed"]: ("unsubscribed", "sending.unsubscribed"),
    EVENT_TYPE_CODES["complained"]: ("unsubscribed", "sending.complained"),
    EVENT_TYPE_CODES["bounced"]: ("hard_bounced", "sending.hard_bounced"),
}
"""The status of the channel after an event, and the reason in the outbox. Of bounces, only the hard ones set it."""

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
    status: str
    reason: str


async def update(uow: UnitOfWork, provider: Provider, rows: Sequence[SendingEventRow]) -> None:
    """Sets the statuses of the recipients of new events, which are stored, in the order of the events.

    A hard bounce does not replace an unsubscription.
    """
    relevant = [row for row in rows if row.event_type in STATUS_BY_EVENT_TYPE]
    if not relevant or not uow.community.updates_channel_statuses:
        return
    found = await uow.fetch(
        _RECIPIENTS,
        uow.community_id,
        [row.sending for row in relevant],
        await dispatch_keys(uow, relevant),
    )
    changes = [
        _Change(each["profile_id"], channel, *STATUS_BY_EVENT_TYPE[relevant[each["row_no"] - 1].event_type])
        for each in found
        if (channel := each["channel"] or provider.channel) in STATUS_CHANNELS
    ]
    await _apply(uow, changes)


async def _apply(uow: UnitOfWork, changes: Sequence[_Change]) -> None:
    stored = await lookup.fetch_for_update(uow, sorted({each.profile_id for each in changes}))
    changed: dict[UUID, Profile] = {}
    reasons: dict[UUID, str] = {}
    for change in changes:
        before = changed.get(change.profile_id) or stored.get(change.profile_id)
        if before is None or before.deleted_at is not None or not _is_new(before, change):
            continue
        state = apply_consents(before.consent_state, {}, {change.channel: change.status})
        changed[change.profile_id] = before.with_consent_state(state)
        reasons[change.profile_id] = change.reason
    await save(uow, [(stored[profile_id], after) for profile_id, after in changed.items()])
    await _record(uow, reasons)


def _is_new(profile: Profile, change: _Change) -> bool:
    return profile.consent_state.statuses[change.channel] not in (change.status, "unsubscribed")


async def _record(uow: UnitOfWork, reasons: Mapping[UUID, str]) -> None:
    if not reasons:
        return
    await uow.execute(_OUTBOX, uow.community_id, list(reasons), list(reasons.values()), uow.now)
    for profile_id, reason in reasons.items():
        uow.mark_member_dirty(profile_id, reason)
        uow.record_event("profile.updated", profile_id)
