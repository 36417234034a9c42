"""Job types: what a job of the queue does, how often it is retried, and what records the outcome."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

JobArguments = Mapping[str, Any]
"""The JSON values that a job was deferred with. `organization_id` is the organization that the job works for."""

RETRY_DELAYS = (10, 60, 300, 1_800)
"""Seconds from a failed attempt to the next one. A job that fails once more stays in the list of failed jobs."""


class JobOutcome(Enum):
    """What happened to a job between or after its attempts."""

    WAITING = "waiting"
    """It waits for its next attempt."""
    FAILED = "failed"
    """It has failed, and is not retried unless a person does it."""
    CANCELLED = "cancelled"


class PermanentJobError(Exception):
    """An attempt failed in a way that no retry can help. The message says why."""


async def _ignore(arguments: JobArguments, outcome: JobOutcome, error: str | None) -> None:
    return


@dataclass(frozen=True, slots=True)
class JobType:
    """A type of jobs. `run` executes one attempt; `record` stores the outcome of an attempt that was not successful.

    `run` may be called again with the same arguments after it has succeeded, for example if the worker dies before the
    success is stored.
    """

    name: str
    queue: str
    run: Callable[[JobArguments], Awaitable[None]]
    record: Callable[[JobArguments, JobOutcome, str | None], Awaitable[None]] = _ignore
    retry_delays: tuple[int, ...] = RETRY_DELAYS
