"""Handles a verified webhook: maps the provider's events to ours and writes all of a request together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.core.errors import ValidationError, field_error
from regulars.facts import sending_events
from regulars.facts.sending_events import SendingEventIn, SendingEventRow
from regulars.facts.timed_events import UnknownProfileError
from regulars.ingest.providers import channel_statuses, replay_guard
from regulars.ingest.providers.provider import ParsedWebhook, Provider, ProviderEvent
from regulars.model.providers import ProviderConfig
from regulars.model.unit_of_work import UnitOfWork

EVENT_OUTCOMES = ("accepted", "unchanged", "ignored", "automated", "no_sending", "unknown_profile", "rejected")
"""Outcomes of an event: stored; stored before; of a type that is not recorded; caused by a machine instead of a member;
of a message that names no sending; of a profile that does not exist; invalid.
"""


_BOUNCED = sending_events.EVENT_TYPE_CODES["bounced"]


@dataclass(slots=True)
class WebhookResult:
    """The number of events by outcome, and the errors of events that are not stored, by index."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENT_OUTCOMES, 0))
    rejections: dict[int, ValidationError] = field(default_factory=dict)

    def add(self, index: int, outcome: str, error: ValidationError | None = None) -> None:
        """Counts the outcome of one event."""
        self.counts[outcome] += 1
        if error is not None:
            self.rejections[index] = error

    @property
    def is_all_rejected(self) -> bool:
        """Whether there were events and all are invalid. Those of unknown profiles stay unknown if they are repeated."""
        return 0 < self.counts["rejected"] == sum(self.counts.values())


async def handle(uow: UnitOfWork, provider: Provider, config: ProviderConfig, webhook: ParsedWebhook) -> WebhookResult:
    """Writes the valid events of a webhook, sets the statuses that follow, and returns the outcomes of all.

    Raises ValidationError if the webhook's token was used with another event.
    """
    if webhook.token is not None:
        await replay_guard.consume(uow, provider.name, webhook.token)
    events = [_validate(each, provider, config, uow.community.timezone) for each in webhook.events]
    valid = [
        (event, row)
        for event, row in zip(webhook.events, events, strict=True)
        if isinstance(event, ProviderEvent) and isinstance(row, SendingEventRow)
    ]
    outcomes = await sending_events.write_many(uow, [row for _, row in valid]) if valid else []
    written = iter(outcomes)
    result = WebhookResult()
    setting = [
        (row, event.recipient)
        for (event, row), outcome in zip(valid, outcomes, strict=True)
        if outcome == "accepted" and (row.event_type != _BOUNCED or event.is_hard_bounce)
    ]
    await channel_statuses.update(uow, provider, setting)
    for index, event in enumerate(events):
        outcome = next(written) if isinstance(event, SendingEventRow) else event
        if isinstance(outcome, ValidationError):
            name = "unknown_profile" if isinstance(outcome, UnknownProfileError) else "rejected"
            result.add(index, name, _with_provider_paths(outcome, provider, config))
        else:
            result.add(index, outcome)
    return result


def _validate(
    event: ProviderEvent | ValidationError, provider: Provider, config: ProviderConfig, timezone: str
) -> SendingEventRow | ValidationError | str:
    """The event as a row of ours, or its outcome if there is none."""
    if isinstance(event, ValidationError):
        return event
    event_type = provider.event_types.get(event.kind)
    if event_type is None:
        return "ignored"
    if event.is_automated:
        return "automated"
    try:
        sending = _custom_field(event.custom_fields, config.sending_field)
        if sending is None:
            return "no_sending"
        row = SendingEventIn(
            external_id=event.id,
            sending=sending,
            dispatch=_custom_field(event.custom_fields, config.dispatch_field) or event.message_id,
            profile=_custom_field(event.custom_fields, config.profile_field),
            event=event_type,
            at=None if event.at is None else event.at.isoformat(),
        )
        return sending_events.validate(row, timezone)
    except ValidationError as error:
        return error


def _custom_field(fields: Mapping[str, Any], name: str) -> str | None:
    """A custom field as text; None if it is absent or empty. Raises ValidationError for other types."""
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise field_error(name, "must be a text")
    return str(value) or None


def _with_provider_paths(error: ValidationError, provider: Provider, config: ProviderConfig) -> ValidationError:
    """The error with the paths of the provider's fields instead of ours."""
    custom = {"sending": config.sending_field, "profile": config.profile_field, "dispatch": config.dispatch_field}
    paths = {**custom, **provider.field_paths}
    return ValidationError({paths.get(path, path): text for path, text in error.errors.items()})
