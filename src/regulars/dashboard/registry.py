"""All pages. Routes and navigation are derived from this list."""

from starlette.types import ASGIApp

from regulars.dashboard.page import Page
from regulars.dashboard.pages import (
    data_health,
    filters,
    member,
    members,
    overview,
    reports,
    sales,
    segment,
    segments,
    sign_in,
)
from regulars.dashboard.pages.administration import (
    access,
    audit_log,
    customers,
    jobs,
    privacy,
    roles,
    tokens,
    users,
    webhooks,
)
from regulars.dashboard.site import Site
from regulars.web.context import AppContext

PAGES: tuple[Page, ...] = (
    *overview.PAGES,
    *members.PAGES,
    *member.PAGES,
    *segments.PAGES,
    *segment.PAGES,
    *reports.PAGES,
    *sales.PAGES,
    *filters.PAGES,
    *data_health.PAGES,
    *customers.PAGES,
    *users.PAGES,
    *roles.PAGES,
    *tokens.PAGES,
    *access.PAGES,
    *webhooks.PAGES,
    *jobs.PAGES,
    *privacy.PAGES,
    *audit_log.PAGES,
    *sign_in.PAGES,
)


def create_site(context: AppContext, api: ASGIApp) -> Site:
    """Creates the pages of one process. `api` is the router of the public APIs."""
    return Site(context, api, PAGES)
