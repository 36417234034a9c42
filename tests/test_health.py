"""The server says that it is there."""

from clubs import Club


async def test_health_needs_no_token(club: Club) -> None:
    answer = await club.http.get("/api/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_an_unknown_path_is_a_404_with_a_message(club: Club) -> None:
    answer = await club.http.get("/api/v3/nothing")
    assert (answer.status_code, answer.json()) == (404, {"message": "There is nothing at /api/v3/nothing."})
