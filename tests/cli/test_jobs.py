"""`regulars jobs` and `regulars schedule`."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from uuid import UUID

import psycopg
import pytest

from cli.conftest import Command, create_community
from regulars.jobs import export_schedules, exports
from regulars.jobs.defer import defer
from regulars.storage.database import Database

WEEKLY = {"name": "Weekly", "cron": "0 6 * * MON", "report": "members", "format": "csv"}


@pytest.fixture
def failed_job(command_urls: tuple[str, str], command: Command, on_the_server: None) -> int:
    """A job that has failed, with an error."""

    async def deferred() -> int:
        async with (
            Database(command_urls[1], 1) as database,
            database.unscoped_connection() as connection,
            connection.transaction(),
        ):
            return await defer(connection, "unknown", "tests", {"organization_id": 0})

    job_id = asyncio.run(deferred())
    with psycopg.connect(command_urls[0], autocommit=True) as owner:
        owner.execute("UPDATE procrastinate_jobs SET status = 'failed', attempts = 3 WHERE id = %s", [job_id])
        owner.execute("INSERT INTO job_errors (job_id, error) VALUES (%s, 'No space left on device')", [job_id])
    return job_id


def test_failed_jobs_are_listed_shown_run_again_and_cancelled(command: Command, failed_job: int) -> None:
    listed = command("jobs", "list", "--status", "failed")
    assert listed.code == 0, listed.err
    (line,) = [each for each in listed.out.splitlines() if each.startswith(f"{failed_job} ")]
    assert line.split()[1:4] == ["unknown", "failed", "3"]
    assert line.endswith("organization_id=0  No space left on device")
    shown = command("jobs", "show", str(failed_job))
    assert "No space left on device" in shown.out
    found = json.loads(command("jobs", "show", str(failed_job), "-o", "json").out)
    assert (found["job"]["status"], found["errors"][0]["error"]) == ("failed", "No space left on device")
    denied = command("jobs", "cancel", str(failed_job))
    assert denied.code == 2
    assert denied.err == f"regulars: Job {failed_job} is failed. Only queued and running jobs can be cancelled.\n"
    assert command("jobs", "retry", str(failed_job)).code == 0
    listed_as_json = json.loads(command("jobs", "list", "--status", "queued", "-o", "json").out)
    assert failed_job in {each["id"] for each in listed_as_json}
    assert command("jobs", "cancel", str(failed_job)).out == f"Job {failed_job} is cancelled.\n"
    assert command("jobs", "show", str(failed_job)).code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("list", "--status", "done"), "--status is 'done'. Allowed: queued, running, failed, cancelled, aborted."),
        (("list", "-o", "csv"), "-o is 'csv'. Allowed: table, json."),
        (("list", "--limit", "0"), "--limit is 0. Allowed: 1 to 10000."),
        (("show", "0"), "There is no job 0. Jobs are deleted when they succeed."),
    ],
)
def test_other_options_are_an_error(
    command: Command, on_the_server: None, arguments: tuple[str, ...], message: str
) -> None:
    result = command("jobs", *arguments)
    assert (result.code, result.err) == (2, f"regulars: {message}\n")


def test_a_negative_concurrency_is_an_error(command: Command) -> None:
    result = command("worker", "--concurrency", "-1")
    assert (result.code, result.err) == (2, "regulars: --concurrency is -1. It must be at least 0.\n")


def create(command: Command, slug: str, **more: Any) -> str:
    """Creates a schedule and returns its id."""
    result = command("schedule", "create", json.dumps({**WEEKLY, **more}), "--customer", slug)
    assert result.code == 0, result.err
    return result.out.strip()


def test_a_schedule_is_created_listed_shown_run_and_deleted(
    command: Command, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    created = create(command, slug)
    listed = command("schedule", "list")
    (line,) = [each for each in listed.out.splitlines() if each.startswith(created)]
    assert "Weekly  0 6 * * MON  Europe/Oslo  members  csv" in line
    assert created in {each["id"] for each in json.loads(command("schedule", "list", "-o", "json").out)}
    export = command("schedule", "run", created)
    assert UUID(export.out.strip())
    shown = json.loads(command("schedule", "show", created, "-o", "json").out)
    assert [(each["export_id"], each["status"]) for each in shown["runs"]] == [(export.out.strip(), "queued")]
    assert export.out.strip() in command("schedule", "show", created).out
    monkeypatch.setattr(exports, "MAX_UNFINISHED", 0)
    limited = command("schedule", "run", created)
    assert limited.code == 2
    assert "exports that wait or run" in limited.err
    (job,) = [
        each
        for each in json.loads(command("jobs", "list", "-o", "json").out)
        if each["arguments"].get("export_id") == export.out.strip()
    ]
    assert "error" not in command("jobs", "show", str(job["id"])).out
    assert command("jobs", "cancel", str(job["id"])).code == 0
    assert "cancelled" in command("schedule", "show", created).out
    assert command("schedule", "delete", created).out == "Schedule 'Weekly' is deleted.\n"
    assert command("schedule", "show", "x").code == 2
    for each in ("show", "delete", "run"):
        missing = command("schedule", each, created)
        assert (missing.code, missing.err) == (
            2,
            f"regulars: Schedule {created} not found. `regulars schedule list` shows the schedules.\n",
        )


def test_an_organization_has_a_limited_number_of_schedules(
    command: Command, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_schedules, "MAX_SCHEDULES", 0)
    result = command("schedule", "create", json.dumps(WEEKLY), "--customer", slug)
    assert (result.code, result.out) == (2, "")
    assert "has 0 schedules, the maximum" in result.err


def test_the_secret_of_a_webhook_is_shown_once(command: Command, slug: str) -> None:
    body = {**WEEKLY, "target": {"type": "webhook", "url": "https://a.example"}}
    result = command("schedule", "create", json.dumps(body), "--customer", slug)
    assert "whsec_" in result.err
    assert "whsec_" not in command("schedule", "show", result.out.strip()).out


def test_a_schedule_whose_target_is_no_longer_allowed_can_not_run(
    command: Command, slug: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGULARS_EXPORT_TARGETS", "s3://partner")
    created = create(command, slug, target={"type": "s3", "url": "s3://partner/drop"})
    monkeypatch.delenv("REGULARS_EXPORT_TARGETS")
    result = command("schedule", "run", created)
    assert result.code == 2
    assert "The schedule can't run" in result.err


@pytest.mark.parametrize(
    ("body", "customer", "message"),
    [
        ("[]", "", "The body must be a JSON object"),
        (json.dumps({**WEEKLY, "cron": "daily"}), "", "cron: Must have five fields"),
        (json.dumps(WEEKLY), "nowhere", "Customer 'nowhere' not found."),
    ],
)
def test_an_invalid_schedule_is_an_error(command: Command, slug: str, body: str, customer: str, message: str) -> None:
    result = command("schedule", "create", body, "--customer", customer or slug)
    assert result.code == 2
    assert message in result.err


def test_customers_of_several_organizations_are_an_error(command: Command, slug: str) -> None:
    create_community(command, f"{slug}-other")
    result = command("schedule", "create", json.dumps(WEEKLY))
    assert result.code == 2
    assert "belong to several organizations" in result.err
