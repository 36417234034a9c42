"""The server says that it is there."""

from contextlib import AsyncExitStack

import pytest

from clubs import Club
from regulars.api import app


async def test_health_needs_no_token(club: Club) -> None:
    answer = await club.http.get("/api/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_database_that_does_not_answer_is_down(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "HEALTH_TIMEOUT_SECONDS", 0.01)
    async with AsyncExitStack() as used:
        for _ in range(club.database.pool.get_max_size()):
            await used.enter_async_context(club.database.unscoped_connection())
        answer = await club.http.get("/api/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "down", "reason": "TimeoutError"})
    monkeypatch.setattr(app, "HEALTH_TIMEOUT_SECONDS", 60)
    assert (await club.http.get("/api/health")).status_code == 200


async def test_an_unknown_path_is_a_404_with_a_message(club: Club) -> None:
    answer = await club.http.get("/api/v3/nothing")
    assert (answer.status_code, answer.json()) == (404, {"message": "There is nothing at /api/v3/nothing."})
