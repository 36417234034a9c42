"""Privacy: find a member, see what an erasure removes, erase after a confirmation, and print the receipt."""

from regulars.auth import permits
from regulars.dashboard.api_client import ApiCallError
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, page, view
from regulars.dashboard.translations import translatable
from regulars.dashboard.visit import Visit

PRIVACY = f"{PATH}/privacy"
METHODS = ("purge", "depersonalise")

TABLES = {
    "profiles": translatable("Profile"),
    "profile_name_words": translatable("Words of the name"),
    "addresses": translatable("Addresses"),
    "identities": translatable("Identities, such as cards"),
    "memberships": translatable("Memberships"),
    "transactions": translatable("Purchases"),
    "transaction_items": translatable("Lines of purchases"),
    "transaction_claims": translatable("Claims of purchases"),
    "sending_dispatches": translatable("Messages sent"),
    "sending_events": translatable("Events of messages"),
    "offer_events": translatable("Events of offers"),
    "link_visits": translatable("Visits of links"),
    "link_visitors": translatable("Visitor numbers"),
    "profile_aggregations": translatable("Computed values"),
    "members": translatable("Membership dimensions"),
    "member_dimension_history": translatable("History of dimensions"),
    "membership_events": translatable("Joining and leaving"),
    "segment_memberships": translatable("Segments"),
    "purchases": translatable("Purchases in reports"),
    "idempotency_keys": translatable("Stored responses"),
    "outbox": translatable("Log of changed values"),
    "snapshot_members": translatable("Snapshots"),
    "tokens": translatable("Tokens of the member"),
    "webhook_events": translatable("Events for webhooks"),
    "webhook_deliveries": translatable("Deliveries of webhooks"),
}
"""Names of tables as a receipt shows them; others have their own name."""


async def find_member(visit: Visit) -> Answer:
    """The form to find a member. What is searched for is personal, so it is not in the link."""
    members, outcome, text = None, FormOutcome(), visit.form.get("q", "").strip()
    if visit.is_post and text:
        outcome = await attempt(visit, visit.api.get("/api/v3/profiles/find", q=text))
        members = outcome.data or []
    return view(visit, "privacy", outcome, members=members, text=text)


async def erase_member(visit: Visit) -> Answer:
    """What an erasure removes, and the form that confirms it by the member's number."""
    profile_id, outcome = visit.path["id"], FormOutcome()
    method = visit.query.get("method", "purge")
    method = method if method in METHODS else "purge"
    path = f"/api/v3/profiles/{profile_id}"
    if visit.is_post:
        if visit.form.get("confirmation", "").strip() != profile_id[:8]:
            problem = visit.locale.gettext("Nothing was erased: the confirmation is not the one shown.")
            outcome = FormOutcome(None, problem, {"confirmation": problem}, 422)
        else:
            outcome = await attempt(visit, visit.api.post(f"{path}/erasure", {"method": method}))
            if outcome.is_done:
                return Redirect(visit.url(f"{PRIVACY}/{profile_id}/receipt"))
    try:
        member = (await visit.api.get(path))["data"]
        preview = (await visit.api.get(f"{path}/erasure", method=method))["data"]
    except ApiCallError as error:
        if error.status != 404:
            raise
        # Erased meanwhile, for example by the same form in another tab.
        return Redirect(visit.url(f"{PRIVACY}/{profile_id}/receipt"))
    return view(visit, "erase", outcome, member=member, preview=preview, method=method, names=_names(visit))


async def show_receipt(visit: Visit) -> Answer:
    """The receipts of erasures of one member, from the audit log: what was removed, when and by whom, without a name."""
    entries = (
        await visit.api.get("/v1/admin/audit", subject_id=visit.path["id"], action="erase", subject_type="profile")
    )["data"]
    return view(visit, "receipt", receipts=entries, profile_id=visit.path["id"], names=_names(visit))


def _names(visit: Visit) -> dict[str, str]:
    return {table: visit.locale.gettext(text) for table, text in TABLES.items()}


PAGES = (
    page("/privacy", "Privacy", find_member, permits.PROFILE_ERASE, handles_forms=True, needs_one_club=True),
    page(
        "/privacy/{id}", "Erase a member", erase_member, permits.PROFILE_ERASE, handles_forms=True, needs_one_club=True
    ),
    page("/privacy/{id}/receipt", "Receipt of an erasure", show_receipt, permits.ADMIN_AUDIT_READ),
)
