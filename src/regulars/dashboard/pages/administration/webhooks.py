"""Webhooks of a club, and the deliveries that failed."""

from regulars.auth import permits
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, page, view
from regulars.dashboard.visit import Visit

WEBHOOKS = f"{PATH}/webhooks"


async def show_webhooks(visit: Visit) -> Answer:
    """The webhooks of the selected club, and failed deliveries, each with a form to send it again."""
    outcome = FormOutcome()
    if visit.is_post:
        delivery = visit.form.get("delivery", "")
        path = f"/v1/admin/deliveries/{delivery if delivery.isascii() and delivery.isdigit() else 0}/resend"
        outcome = await attempt(visit, visit.api.post(path, {}))
        if outcome.is_done:
            return Redirect(visit.url(WEBHOOKS), visit.locale.gettext("The delivery is queued again."))
    webhooks = None
    if visit.user.may(permits.WEBHOOK_READ):
        webhooks = (await visit.api.get("/api/v3/webhooks", **{"page[size]": 500}))["data"]
    deliveries = (await visit.api.get("/v1/admin/deliveries", customer=visit.one_club.slug))["data"]
    return view(visit, "webhooks", outcome, webhooks=webhooks, deliveries=deliveries)


PAGES = (
    page("/webhooks", "Webhooks", show_webhooks, permits.ADMIN_DELIVERY_READ, handles_forms=True, needs_one_club=True),
)
