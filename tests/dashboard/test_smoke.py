from clubs import Club
from dashboard.visitors import browse


async def test_smoke(club: Club) -> None:
    async with browse(club) as browser:
        r = await browser.get("/")
        assert r.status_code == 200, r.text
        assert "Members" in r.text
        r = await browser.get("/account")
        assert r.status_code == 200, r.text
        r = await browser.get("/sign-in")
        assert r.status_code == 303
        r = await browser.get("/account/nothing")
        assert r.status_code == 404, r.text
    async with browse(club, None) as browser:
        r = await browser.get("/sign-in")
        assert r.status_code == 200, r.text
        r = await browser.get("/")
        assert r.status_code == 303
