"""All pages. Routes and navigation are derived from this list."""

from starlette.types import ASGIApp

from regulars.dashboard.page import Page
from regulars.dashboard.pages import filters, member, members, overview, reports, sales, sign_in
from regulars.dashboard.site import Site
from regulars.web.context import AppContext

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *members.PAGES,
    *member.PAGES,
    *reports.PAGES,
    *sales.PAGES,
    *filters.PAGES,
    *sign_in.PAGES,
)


def create_site(context: AppContext, api: ASGIApp) -> Site:
    """Creates the pages of one process. `api` is the router of the public APIs."""
    return Site(context, api, PAGES)
