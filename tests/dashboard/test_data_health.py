"""Data health: what needs attention, in words, for empty, usual and troubled clubs."""

from __future__ import annotations

from datetime import timedelta

from api.admin.test_health import add_store, sell
from clubs import Club
from dashboard.test_administration import MARKUP, shows
from dashboard.visitors import browse
from regulars.facts import purchases
from regulars.model import load_runs, verify_runs
from regulars.model.load_runs import LoadRun
from regulars.model.verify_runs import VerifyRun


async def test_an_empty_club_is_as_usual(club: Club) -> None:
    async with browse(club) as browser:
        shows(
            await browser.get("/data-health"),
            "Everything is as usual.",
            "There are no stores yet",
            "It has not run yet",
        )


async def test_what_needs_attention_is_in_words(club: Club) -> None:
    club.clock.advance(hours=18)
    await add_store(club, f"Quiet {MARKUP}")
    await add_store(club, "Never")
    await sell(club, f"Quiet {MARKUP}", *(day + 2.1 for day in range(10)))
    await purchases.compact(club.database, club.community.id, wait=True)
    now, community_id = club.clock(), club.community.id
    reasons = [{"count": 3, "line": 2, "reason": "email is not an e-mail address"}]
    run = LoadRun(
        "load", "profiles", f"{MARKUP}.csv", now - timedelta(hours=1), now, 7, 0, 3, reasons, "The load stopped."
    )
    await load_runs.store(club.database, community_id, run)
    await verify_runs.store(club.database, community_id, VerifyRun(now, now, 10, 2, {"spend_12m": 2}))
    async with browse(club) as browser:
        html = shows(
            await browser.get("/data-health"),
            "3 things need attention",
            "Stores have sold nothing for longer than usual.",
            "3 × email is not an e-mail address",
            "first in line 2",
            "The load stopped.",
            "spend_12m",
        )
        assert html.index("Quiet") < html.index("Never")
        assert ">late<" in html


async def test_a_person_without_the_permit_sees_which_is_missing(club: Club) -> None:
    async with browse(club, ["Reporting:*"]) as browser:
        shows(await browser.get("/data-health"), "Admin:Health:Read", status=403)
        assert "/data-health" not in (await browser.get("/account")).text
