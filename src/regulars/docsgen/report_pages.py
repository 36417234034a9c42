"""The pages of the reports, generated from their declarations."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from regulars.core.field_type import FieldType
from regulars.reports.registry import REPORTS
from regulars.reports.report import Grouping, Report, ReportField, ReportFormat
from regulars.web import report_examples

_INDEX = "README.md"
_WRITTEN = "*Written by `make docs` from the declaration of the report.*"


def render_pages(reports: Sequence[Report] = REPORTS) -> Mapping[str, str]:
    """Every page by the name of its file."""
    return {_INDEX: "".join(_index(reports)), **{f"{each.name}.md": "".join(_page(each)) for each in reports}}


def _index(reports: Sequence[Report]) -> Iterator[str]:
    yield "# Reports\n\nHow to ask for them: [reporting.md](../reporting.md). Written by `make docs`.\n\n"
    yield "| report | format | cost | tells |\n|---|---|---|---|\n"
    for each in reports:
        yield f"| [{each.name}]({each.name}.md) | {each.format.value} | {each.cost} | {_cell(each.description)} |\n"


def _page(report: Report) -> Iterator[str]:
    yield f"# {report.name} ({report.format.value})\n\n{report.description}\n\n"
    yield "| required permit | rate limit tokens cost |\n|---|---|\n"
    yield f"| `{report.permit}` | {report.cost} |\n"
    if report.intervals:
        names = ", ".join(f"`{each.code}`" for each in report.intervals)
        yield f"\nIntervals: {names}, or `auto`.\n"
    yield "\n## Fields\n\n| field | type | filterable | |\n|---|---|---|---|\n"
    for field in report.fields:
        yield f"| `{field.name}` | {_type(field)} | {_filterable(field)} | {_cell(field.description)} |\n"
    for field in report.fields:
        if field.values:
            yield f"\n`{field.name}` is one of:\n\n"
            for value in field.values:
                yield f"- `{value.name}`{f': {value.description}' if value.description else ''}\n"
    yield from _measures(report)
    yield "\n## Query\n\n"
    yield from _example(report, None)
    if report.groupings_by_name:
        yield "\n## Aggregations\n\n| `aggregate_by` | by | |\n|---|---|---|\n"
        for each in report.groupings_by_name.values():
            labels = ", ".join(f"`{key}`" for name in each.fields for key in report.fields_by_name[name].label_names)
            yield f"| `{each.name}` | {labels} | {_cell(each.description)} |\n"
        first = next(iter(report.groupings_by_name.values()))
        yield f"\nWith `{first.name}`:\n\n"
        yield from _example(report, first)
    yield f"\n{_WRITTEN}\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _type(field: ReportField) -> str:
    return "enum" if field.values else field.type.report_name


def _filterable(field: ReportField) -> str:
    if field.is_tenant_field:
        return "via `X-Customer`"
    if not field.filterable:
        return ""
    by_dot = field.type in (FieldType.FLAGS, FieldType.OBJECT)
    return f"yes, as `{field.name}.<name>`" if by_dot else "yes"


def _measures(report: Report) -> Iterator[str]:
    if not report.measures:
        return
    if report.metric:
        yield f"\n## Series\n\nEach is labelled by `{report.metric}`.\n"
        yield f"\n| `{report.metric}` | type | |\n|---|---|---|\n"
    else:
        yield "\n## Values\n\n| value | type | |\n|---|---|---|\n"
    for each in report.measures:
        yield f"| `{each.name}` | {each.type.report_name} | {_cell(each.description)} |\n"


def _example(report: Report, aggregation: Grouping | None) -> Iterator[str]:
    body, answer = (
        msgspec.json.format(msgspec.json.encode(each(report, aggregation)), indent=2).decode()
        for each in (report_examples.example_request, report_examples.example_response)
    )
    yield (
        "```console\n"
        "$ curl -s localhost:8080/v1/reporting/query -H \"Authorization: Bearer $TOKEN\" -H 'X-Customer: all=all' \\\n"
        f"       -d '{body}'\n"
        "```\n\n"
    )
    yield f"```json\n{answer}\n```\n"
    if report.format is ReportFormat.RECORDS:
        yield "\nMore rows than a page holds: send its `next_page_info` as `page_info`.\n"
