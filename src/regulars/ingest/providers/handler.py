"""Takes what a provider tells: each event to ours, and all of a request into the store at once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from regulars.core.errors import ValidationError, field_error
from regulars.facts import sending_events
from regulars.facts.sending_events import SendingEventIn, SendingEventRow
from regulars.ingest.providers import replay_guard
from regulars.ingest.providers.provider import ParsedWebhook, Provider, ProviderEvent
from regulars.model.providers import ProviderConfig
from regulars.model.unit_of_work import UnitOfWork

EVENT_OUTCOMES = ("accepted", "unchanged", "ignored", "automated", "no_sending", "rejected")
"""What can become of an event: kept; there already; of a kind that is none of ours; not done by a member; of a message
that names no sending; wrong.
"""


@dataclass(slots=True)
class WebhookResult:
    """How many events came to what, and why those that were rejected were, by their place from 0."""

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(EVENT_OUTCOMES, 0))
    rejections: dict[int, ValidationError] = field(default_factory=dict)

    def add(self, place: int, outcome: str | ValidationError) -> None:
        """Counts what became of one."""
        if isinstance(outcome, ValidationError):
            self.rejections[place] = outcome
        self.counts["rejected" if isinstance(outcome, ValidationError) else outcome] += 1

    @property
    def is_all_rejected(self) -> bool:
        """Whether nothing could be taken of what was told."""
        return 0 < len(self.rejections) == sum(self.counts.values())


async def handle(uow: UnitOfWork, provider: Provider, setup: ProviderConfig, content: ParsedWebhook) -> WebhookResult:
    """Writes the events that are good, as one set, and says what became of each.

    Raises Refused where a token came before with another event.
    """
    if content.token is not None:
        await replay_guard.consume(uow, provider.name, content.token)
    found = [_row(each, provider, setup, uow.community.timezone) for each in content.events]
    rows = [each for each in found if isinstance(each, SendingEventRow)]
    written = iter(await sending_events.write_many(uow, rows) if rows else ())
    taken = WebhookResult()
    for place, each in enumerate(found):
        outcome = next(written) if isinstance(each, SendingEventRow) else each
        taken.add(place, _in_their_words(outcome, provider, setup) if isinstance(outcome, ValidationError) else outcome)
    return taken


def _row(
    told: ProviderEvent | ValidationError, provider: Provider, setup: ProviderConfig, zone: str
) -> SendingEventRow | ValidationError | str:
    """An event of ours that was checked, or what became of it."""
    if isinstance(told, ValidationError):
        return told
    event = provider.event_types.get(told.kind)
    if event is None:
        return "ignored"
    if told.is_automated:
        return "automated"
    try:
        sending = _named(told.custom_fields, setup.sending_name)
        if sending is None:
            return "no_sending"
        given = SendingEventIn(
            external_id=told.id,
            sending=sending,
            dispatch=_named(told.custom_fields, setup.dispatch_name) or told.message_id,
            profile=_named(told.custom_fields, setup.profile_name),
            event=event,
            at=None if told.at is None else told.at.isoformat(),
        )
        return sending_events.validate(given, zone)
    except ValidationError as refused:
        return refused


def _named(named: Mapping[str, Any], name: str) -> str | None:
    """What a sender gave under a name; an empty text is nothing. Raises Refused for what is no text and no number."""
    value = named.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise field_error(name, "must be a text")
    return str(value) or None


def _in_their_words(refused: ValidationError, provider: Provider, setup: ProviderConfig) -> ValidationError:
    """A refusal by the paths that the provider's fields have."""
    names = {"sending": setup.sending_name, "profile": setup.profile_name, "dispatch": setup.dispatch_name}
    paths = {**names, **provider.field_paths}
    return ValidationError({paths.get(path, path): text for path, text in refused.errors.items()})
