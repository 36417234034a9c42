"""What the handler of a page works with: who visits, which clubs are selected, and the APIs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from regulars.auth import permits
from regulars.auth.principals import Principal
from regulars.auth.sessions import Session
from regulars.auth.tenants import Tenant
from regulars.dashboard.api_client import ApiClient
from regulars.dashboard.translations import Locale
from regulars.web.context import AppContext

ALL_CLUBS = "all"
"""The value of the parameter `club` that selects all clubs."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """The person who has signed in. `session` is None on public pages."""

    session: Session | None

    @property
    def name(self) -> str:
        """The name of the user or of the token; empty without a session."""
        return "" if self.session is None else self.session.name

    @property
    def principal(self) -> Principal | None:
        """The principal of requests to the APIs."""
        return None if self.session is None else self.session.principal

    @property
    def location_ids(self) -> tuple[int, ...] | None:
        """The stores to which the person is limited; None is no limit."""
        return None if self.principal is None else self.principal.location_ids

    def may(self, permit: str) -> bool:
        """Whether the person has a permit."""
        return self.principal is not None and permits.has_permit(self.principal.permits, permit)


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of a page.

    `path` are the parameters of the path, `query` those of the query (the last of each name), and `form` the fields of a
    POST whose origin has been verified. `all_clubs` are those that the person has access to, `clubs` the selected ones,
    and `club` the only selected one, or None. `server_url` is the address of this server as the browser sees it, `attempt`
    what was remembered of a sign-in by an identity provider.
    """

    app: AppContext
    api: ApiClient
    user: Visitor
    locale: Locale
    now: datetime
    method: str
    url_path: str
    path: Mapping[str, str]
    query: Mapping[str, str]
    query_lists: Mapping[str, Sequence[str]]
    form: Mapping[str, str]
    form_lists: Mapping[str, Sequence[str]]
    all_clubs: Sequence[Tenant]
    clubs: Sequence[Tenant]
    address: str
    user_agent: str
    server_url: str
    attempt: str
    form_token: str
    notice: str

    @property
    def club(self) -> Tenant | None:
        """The only selected club; None if there are several or none."""
        return self.clubs[0] if len(self.clubs) == 1 else None

    @property
    def one_club(self) -> Tenant:
        """The club of a page that needs one."""
        return self.clubs[0]

    @property
    def club_parameter(self) -> str:
        """The value of the parameter `club` that selects the same clubs."""
        if len(self.all_clubs) > 1 and len(self.clubs) == len(self.all_clubs):
            return ALL_CLUBS
        return ",".join(each.slug for each in self.clubs)

    @property
    def is_post(self) -> bool:
        """Whether a form was sent."""
        return self.method == "POST"

    def url(self, path: str, **params: object) -> str:
        """The address of another page with the same clubs. Parameters that are None are left out."""
        given = {"club": self.club_parameter if len(self.all_clubs) > 1 else None, **params}
        query = urlencode({name: value for name, value in given.items() if value is not None}, doseq=True)
        return f"{path}?{query}" if query else path

    def here(self, **params: object) -> str:
        """The address of this page with other parameters; those that are None are removed."""
        query = {name: list(values) for name, values in self.query_lists.items()}
        for name, value in params.items():
            query.pop(name, None)
            if value is not None:
                query[name] = [str(value)]
        encoded = urlencode(query, doseq=True)
        return f"{self.url_path}?{encoded}" if encoded else self.url_path
