"""The overview: how the clubs are doing."""

from regulars.dashboard.page import Answer, Page, Section, View
from regulars.dashboard.visit import Visit


async def show_overview(visit: Visit) -> Answer:
    """The number of members of each selected club."""
    answer = await visit.api.query({"report": "members_count"})
    return View("overview/overview.html", {"counts": answer["records"]})


PAGES = (Page("/", "Overview", show_overview, section=Section.OVERVIEW, is_entry=True, needs_one_club=False),)
