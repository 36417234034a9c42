"""Sales by store, brand and channel, and the page of one store."""

from __future__ import annotations

import html
import re

from api.test_store_limits import create_location
from api.transaction_client import create_profile, create_transaction, sale
from clubs import Club
from dashboard.test_overview import figures
from dashboard.visitors import browse
from regulars.auth import organizations


async def test_stores_have_names_shares_and_pages(club: Club) -> None:
    first, second = await create_location(club, "North <b>"), await create_location(club, "South")
    await create_transaction(club, sale("300.00", "2026-10-20 12:00:00", location_id=first))
    await create_transaction(club, sale("100.00", "2026-10-20 12:00:00", location_id=second))
    await create_transaction(club, sale("50.00", "2026-09-20 12:00:00", location_id=second))
    async with browse(club) as browser:
        page = (await browser.get("/sales")).text
        assert figures(page)["Net amount, NOK"][0] == "400"
        cells = re.findall(r"<tr><th scope=.row.>(<a href=./sales.*?)</tr>", page, re.DOTALL)
        rows = [re.sub(r"<[^>]*>", "|", each).split("|") for each in cells]
        stores = [[html.unescape(cell).replace("\u00a0", " ").strip() for cell in row if cell.strip()] for row in rows][
            :2
        ]
        assert stores[0][:3] == ["North <b>", "300", "75.0 %"]
        assert stores[1][0] == "South"
        assert "up" in stores[1]
        assert f'href="/sales/stores/{first}?period=30d"' in page
        store = await browser.get(f"/sales/stores/{second}")
        assert "<h1>South</h1>" in store.text
        assert figures(store.text)["Net amount, NOK"] == ("100", ["▲ up 100.0 % previous period", "– a year ago"])
        assert html.unescape(store.text).count('<figure class="chart">') == 5
        for path in ("999999999", "x", "1" * 20):
            assert (await browser.get(f"/sales/stores/{path}")).status_code == 404


async def test_sales_to_few_members_are_not_shown(club: Club) -> None:
    first, second = await create_location(club, "North"), await create_location(club, "South")
    for store in (first, first, first, second):
        buyer = await create_profile(club)
        await create_transaction(club, sale("100.00", "2026-10-20 12:00:00", location_id=store, profile_id=buyer))
    async with club.database.unscoped_connection() as connection:
        await organizations.update(connection, club.community.slug, {"min_cell_size": 3})
    async with browse(club) as browser:
        page = html.unescape((await browser.get("/sales")).text)
        assert figures(page)["Net amount, NOK"][0] == "400"
        assert figures(page)["Active buyers"][0] == "4"
        for cells in re.findall(r"<tr><th scope=.row.><a href=./sales/stores.*?</a></th>(.*?)</tr>", page, re.DOTALL):
            assert set(re.sub(r"<[^>]*>", "|", cells).split("|")) <= {"", "\n", "–"}
        assert page.count("too few members to be shown") == 2
        of_second = (await browser.get(f"/sales/stores/{second}")).text
        assert figures(of_second)["Net amount, NOK"] == ("–", [])
        assert "too few members to be shown" in of_second


async def test_the_manager_of_a_store_sees_only_that_store(club: Club) -> None:
    first, second = await create_location(club, "North"), await create_location(club, "South")
    await create_transaction(club, sale("300.00", "2026-10-20 12:00:00", location_id=first))
    await create_transaction(club, sale("100.00", "2026-10-20 12:00:00", location_id=second))
    permits = ("Reporting:Api:Query", "Reporting:Api:Report:*", "Location:Read")
    async with browse(club, permits, customers=[club.community.slug], location_ids=[first]) as browser:
        own = await browser.get(f"/sales/stores/{first}")
        assert figures(own.text)["Net amount, NOK"][0] == "300"
        sales = (await browser.get("/sales")).text
        assert figures(sales)["Net amount, NOK"][0] == "300"
        assert "North" in sales
        assert "South" not in sales
        other = await browser.get(f"/sales/stores/{second}")
        assert other.status_code in (403, 404)
        assert "South" not in other.text


async def test_a_club_without_sales_says_so(club: Club) -> None:
    async with browse(club) as browser:
        page = await browser.get("/sales?period=this_month")
    assert page.status_code == 200
    assert "No sales in this period" in page.text
