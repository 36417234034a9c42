"""Pages are declarations: routes, navigation and access are derived from them."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from regulars.dashboard.visit import Visit, Visitor


class Section(Enum):
    """The sections of the navigation, in its order; each has the label of its link."""

    OVERVIEW = "Overview"
    MEMBERS = "Members"
    SEGMENTS = "Segments"
    SALES = "Sales"
    REPORTS = "Reports"
    DATA_HEALTH = "Data health"
    ADMINISTRATION = "Administration"
    NONE = ""


@dataclass(frozen=True, slots=True)
class View:
    """A page to render: a template and its values."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200


@dataclass(frozen=True, slots=True)
class Redirect:
    """Another page to go to after a form was handled. `notice` is shown there once.

    `session_secret` begins a session, or ends it if it is empty; `language` is remembered.
    `attempt` is remembered until the person returns from an identity provider, and removed if it is empty.
    """

    path: str
    notice: str = ""
    session_secret: str | None = None
    language: str = ""
    attempt: str | None = None


@dataclass(frozen=True, slots=True)
class Json:
    """Data for a script of a page."""

    value: object
    status: int = 200


@dataclass(frozen=True, slots=True)
class Download:
    """The response of the API at `path`, passed on unchanged while it arrives."""

    path: str
    params: Mapping[str, str] = field(default_factory=dict)


Answer = View | Redirect | Json | Download
PageHandler = Callable[[Visit], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Page:
    """A page at a path, whose parameters are written as `{name}`.

    `title` is translated where it is shown. `section` is the link of the navigation that is marked, and leads to the page
    if `is_entry`. `permit` is what a person needs to see it, or `alternative_permit`; without one, the APIs decide.
    `handles_forms` says that the handler also takes POST. `needs_one_club` says that the page is about one club; otherwise
    it can be about several. `is_public` pages need no session.
    """

    path: str
    title: str
    handler: PageHandler
    section: Section = Section.NONE
    is_entry: bool = False
    permit: str = ""
    alternative_permit: str = ""
    handles_forms: bool = False
    needs_one_club: bool = True
    is_public: bool = False

    def is_allowed(self, user: Visitor) -> bool:
        """Whether a person has a permit for the page."""
        return not self.permit or any(user.may(each) for each in (self.permit, self.alternative_permit) if each)
