"""Jobs of the queue: those that failed first, each with its errors, to run again or to cancel."""

from regulars.auth import permits
from regulars.dashboard.page import Answer, Redirect
from regulars.dashboard.pages.administration.tabs import PATH, FormOutcome, attempt, page, view
from regulars.dashboard.visit import Visit
from regulars.jobs.job_list import STATUSES

JOBS = f"{PATH}/jobs"


async def show_jobs(visit: Visit) -> Answer:
    """The latest jobs of a status, or of all."""
    status = visit.query.get("status", "")
    status = status if status in STATUSES else ""
    jobs = (await visit.api.get("/v1/admin/jobs", status=status or None, limit=200))["data"]
    return view(visit, "jobs", jobs=jobs, status=status, statuses=tuple(STATUSES))


async def show_job(visit: Visit) -> Answer:
    """One job with the errors of its attempts."""
    path, outcome = f"/v1/admin/jobs/{visit.path['id']}", FormOutcome()
    if visit.is_post:
        action = "cancel" if visit.form.get("action") == "cancel" else "retry"
        outcome = await attempt(visit, visit.api.post(f"{path}/{action}", {}))
        if outcome.is_done:
            return Redirect(visit.url(JOBS), visit.locale.gettext("The job is changed."))
    job = (await visit.api.get(path))["data"]
    return view(visit, "job", outcome, job=job)


PAGES = (
    page("/jobs", "Jobs", show_jobs, permits.ADMIN_JOB_READ),
    page("/jobs/{id}", "Job", show_job, permits.ADMIN_JOB_READ, handles_forms=True),
)
