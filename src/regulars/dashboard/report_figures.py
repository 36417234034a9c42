"""Charts of answers within pages, with the names of stores, offers and clubs."""

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from regulars.charts.answer_chart import MAX_GROUPS, Subject, answer_chart, can_be_drawn
from regulars.charts.figure import render_figure
from regulars.charts.label_names import Names, ids_of_labels
from regulars.charts.language import ChartLanguage
from regulars.dashboard.visit import Visit
from regulars.reports.registry import REPORTS_BY_NAME


def language_of(visit: Visit) -> ChartLanguage:
    """The language of the page, for charts."""
    return ChartLanguage(str(visit.locale.babel), visit.locale.gettext)


def currency_of(visit: Visit) -> str:
    """The currency of the selected clubs; empty if they have several."""
    found = {each.currency for each in visit.clubs}
    return found.pop() if len(found) == 1 else ""


async def names_of(visit: Visit, *answers: Mapping[str, Any]) -> Names:
    """The names of the ids in the labels of answers. Takes one call if there are ids that may have names."""
    ids: dict[str, set[int]] = {}
    for answer in answers:
        for key, found in ids_of_labels(answer).items():
            ids.setdefault(key, set()).update(found)
    names: dict[str, Mapping[Any, str]] = {
        key: {getattr(each, key): each.name for each in visit.clubs} for key in ("community_id", "loyalty_club_id")
    }
    if ids:
        labels = {key: sorted(found)[:1_000] for key, found in ids.items()}
        found_names = (await visit.api.post("/v1/reporting/label_names", {"labels": labels}))["names"]
        names |= {key: {int(each): name for each, name in pairs.items()} for key, pairs in found_names.items()}
    return names


def subject_of(
    visit: Visit, report: str, aggregate_by: str, names: Names, title: str = "", max_groups: int = MAX_GROUPS
) -> Subject:
    """What an answer of a report is about."""
    found = REPORTS_BY_NAME[report]
    grouping = found.groupings_by_name.get(aggregate_by)
    return Subject(found, grouping, currency_of(visit), names, language_of(visit), title, max_groups)


def figure_of(subject: Subject, answer: Mapping[str, Any], *, has_table: bool = True) -> Markup | None:
    """The chart of an answer; None if the answer is a list that can't be drawn."""
    if not can_be_drawn(subject.report, subject.grouping):
        return None
    return Markup(render_figure(answer_chart(subject, answer), has_table=has_table))  # noqa: S704 - the figure escapes its texts
