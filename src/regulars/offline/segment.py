"""`regulars.compute_segment`: which members of files are in a segment, by the filter that the server evaluates."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from regulars.offline.compute import ProgressCallback, resolve_as_of, resolve_void_statuses
from regulars.offline.engines import create_engine, require_engine
from regulars.offline.errors import InputNotFoundError
from regulars.offline.input_traits import check_timezone
from regulars.offline.registration import parse_reading
from regulars.offline.report import ReportSession, open_report_session
from regulars.offline.report_relations import ReportContext, RequiredRelations
from regulars.offline.report_sources import offline_report
from regulars.offline.structures import NoticeCallback
from regulars.offline.writers import resolve_report_output, write_report
from regulars.query.compiler import filter_sql
from regulars.query.compiler.statements import QueryPlan, number_parameters
from regulars.query.errors import ErrorCollector
from regulars.query.parser import filters
from regulars.query.parser.request import decode_value
from regulars.query.query import FilterNode, ReportQuery
from regulars.reports.members import MEMBERS
from regulars.reports.report import Backend, Report


def compute_segment(
    segment: str | Mapping[str, Any],
    profiles: Any,
    transactions: Any = None,
    locations: Any = None,
    products: Any = None,
    *,
    memberships: Any = None,
    as_of: Any = None,
    columns: Mapping[str, Any] | None = None,
    delimiter: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    date_format: str | None = None,
    sheet: str | None = None,
    strict: bool = False,
    timezone: str = "UTC",
    currency: str | None = None,
    void_statuses: Sequence[str] | None = None,
    personal_properties: Sequence[str] = (),
    engine: str = "duckdb",
    master: str | None = None,
    spark: Any = None,
    output: str | Path | None = None,
    progress: ProgressCallback = lambda stage: None,
    on_notice: NoticeCallback | None = None,
) -> Any:
    """Computes which members are in a segment, from input tables like those of `compute_report`.

    `segment` is a filter, or a segment with a `filter` as the API returns it; as a mapping, as JSON, or as a file of
    JSON. It can't refer to other segments. Locations are external ids.
    Returns `{"records": [{"profile", "in_segment"}, ...]}` for each member, or None if `output` is a .json, .csv or
    .parquet file.
    Raises InvalidInputError for invalid input, InvalidParametersError for an invalid filter.
    """
    require_engine(engine)
    path = None if output is None else resolve_report_output(output)
    report = _report(Backend.DUCKDB if engine == "duckdb" else Backend.SPARK)
    node = parse_segment(segment, report)
    check_timezone(timezone, "timezone")
    tables = {
        "profiles": profiles,
        "memberships": memberships,
        "transactions": transactions,
        "locations": locations,
        "products": products,
    }
    reading = parse_reading(
        columns,
        on_notice,
        strict=strict,
        delimiter=delimiter,
        decimal=decimal,
        encoding=encoding,
        date_format=date_format,
        sheet=sheet,
    )
    session = open_report_session(
        create_engine(engine, spark, master),
        tables,
        RequiredRelations.for_query(ReportQuery(report, node)),
        ReportContext(
            timezone,
            currency,
            resolve_as_of(as_of),
            1,
            tuple(personal_properties),
            strict,
            reading.on_notice,
            resolve_void_statuses(void_statuses),
        ),
        reading,
        progress,
    )
    progress("computing")
    result = {"records": _evaluate(session, node, report), "result_type": "records"}
    if path is None:
        return result
    progress("writing")
    write_report(result, path)
    return None


def _report(backend: Backend) -> Report:
    """The report of members over files, without columns, so that only what the filter needs is computed."""
    report = offline_report(MEMBERS, backend)
    return replace(report, fields=tuple(replace(each, visible=False) for each in report.fields))


def parse_segment(segment: str | Mapping[str, Any], report: Report) -> FilterNode:
    """Parses a segment. Raises InputNotFoundError if it is no segment, InvalidParametersError for an invalid filter."""
    tree = _decode(segment) if isinstance(segment, str) else segment
    if isinstance(tree, Mapping) and "filter" in tree:
        tree = tree["filter"]
    errors = ErrorCollector()
    node = filters.parse(tree, report, errors)
    if errors.errors:
        raise errors.to_exception()
    if node is None:
        raise InputNotFoundError("The segment has no filter.")
    return node


def _decode(text: str) -> Any:
    is_json = text.lstrip().startswith("{")
    try:
        return decode_value(text.encode() if is_json else Path(text).read_bytes())
    except OSError as error:
        raise InputNotFoundError(f"The segment {text[:100]!r} is neither JSON nor a file: {error.strerror}.") from None
    except ValueError as error:
        raise InputNotFoundError(f"The segment is not valid JSON: {error}.") from None


def _evaluate(session: ReportSession, node: FilterNode, report: Report) -> list[dict[str, Any]]:
    condition = filter_sql.condition(node, report.source.backend).parenthesized
    statement = number_parameters(
        f"SELECT r.profile_id, coalesce({condition}, FALSE) AS in_segment FROM members AS r ORDER BY r.profile_id"
    )
    values = QueryPlan(statement, node, report).bind(session.tenant, session.now, {})
    rows = session.engine.execute(statement.sql, [list(each) if isinstance(each, tuple) else each for each in values])
    return [{"profile": profile, "in_segment": is_in} for profile, is_in in rows]
