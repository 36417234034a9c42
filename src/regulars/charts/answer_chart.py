"""Makes the chart of a report's answer: a time series, statistics, or records by a grouping."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from regulars.charts.chart import (
    Chart,
    ChartSeries,
    Figure,
    GroupAxis,
    Panel,
    Quantity,
    Shape,
    TimeAxis,
    Unit,
)
from regulars.charts.label_names import Names
from regulars.charts.language import ENGLISH, ChartLanguage
from regulars.charts.time_buckets import time_bucket
from regulars.charts.value_names import VALUE_NAMES
from regulars.core.field_type import FieldType
from regulars.query.compiler.groups import labels_for
from regulars.reports.report import Grouping, Report, ReportFormat, ReportMeasure

MAX_SERIES = 6
"""Series of a panel that have a colour of their own; more are summed up, or are not drawn."""

MAX_GROUPS = 40
"""Groups that are drawn; more are summed up, or are not drawn."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What an answer is about: its report and grouping, the currency of its money, and the names of its labels.

    `heading` replaces the title; more groups than `max_groups` are not drawn.
    """

    report: Report
    grouping: Grouping | None = None
    currency: str = ""
    names: Names = field(default_factory=dict)
    language: ChartLanguage = ENGLISH
    heading: str = ""
    max_groups: int = MAX_GROUPS

    @property
    def title(self) -> str:
        """The heading; without one, what the report is about, and by which fields it is grouped."""
        if self.heading:
            return self.heading
        title = self.language.translate(self.report.description.partition(".")[0].partition(";")[0])
        fields = [] if self.grouping is None else [self.language.words(each) for each in self.grouping.fields]
        if not fields:
            return title
        return self.language.translate("{title}, by {fields}").format(title=title, fields=" × ".join(fields))

    @property
    def measures(self) -> Mapping[str, ReportMeasure]:
        """The measures of the groups by name."""
        return {each.name: each for each in self.report.measures_for(self.grouping)}

    def unit(self, measure: ReportMeasure) -> Unit:
        """The unit of a measure."""
        if measure.type is FieldType.MONEY:
            return Unit(Quantity.MONEY, self.currency)
        if measure.type is FieldType.PERCENT:
            return Unit(Quantity.PERCENT)
        if measure.type is FieldType.NUMBER and measure.quotient is not None:
            return Unit(Quantity.RATE)
        return Unit(Quantity.COUNT)

    def is_sum(self, measure: ReportMeasure) -> bool:
        """Whether values of several groups may be added up."""
        return self.report.is_additive and not (measure.quotient or measure.distinct_partition or measure.is_id_list)

    def measure_name(self, measures: Iterable[ReportMeasure]) -> str:
        """The name of the measure if there is only one."""
        names = {each.name for each in measures}
        return self.language.words(names.pop()) if len(names) == 1 else ""

    def label(self, key: str, value: object) -> str:
        """A label as people read it: the name of what an id identifies, else the id with what it is."""
        if value is None:
            return self.language.translate("no {thing}").format(thing=self._thing(key))
        if (name := self.names.get(key, {}).get(value)) is not None:
            return name
        if key == self.report.metric:
            return self.language.words(str(value))
        if (short := VALUE_NAMES.get(key.removeprefix("aggregations."), {}).get(value)) is not None:
            return self.language.translate(short)
        if isinstance(value, bool):
            return f"{self._thing(key)}: {self.language.yes_or_no(value)}"
        return f"{self._thing(key)} {value}" if isinstance(value, int) else str(value)

    def series_name(self, label: Mapping[str, Any], zone: str = "") -> str:
        """The name of a group by its labels."""
        labels = [self.label(key, value) for key, value in label.items()]
        return " / ".join([zone, *labels] if zone else labels) or self.language.translate("all")

    def _thing(self, key: str) -> str:
        return self.language.words(key.removesuffix("_id"))


def can_be_drawn(report: Report, grouping: Grouping | None) -> bool:
    """Whether the answer of a report has figures by time or by group."""
    return report.format is not ReportFormat.RECORDS or grouping is not None or not report.key


def answer_chart(subject: Subject, answer: Mapping[str, Any]) -> Chart:
    """The chart of an answer that can be drawn."""
    if answer["result_type"] == ReportFormat.TIMESERIES.value:
        return _time_chart(subject, answer)
    return _group_chart(subject, answer)


# Time series --------------------------------------------------------------------------------------------------


def _time_chart(subject: Subject, answer: Mapping[str, Any]) -> Chart:
    interval, language = answer["interval"], subject.language
    zone = answer["range_timezone"]
    buckets = tuple(time_bucket(each, interval, zone, language) for each in answer["time_buckets"])
    subtitle = zone
    if buckets:
        subtitle = f"{language.day(buckets[0].start)} – {language.day(buckets[-1].end - timedelta(seconds=1))}, {zone}"
    metric = subject.report.metric
    is_grouped = any(len(each["label"]) > 1 for each in answer["series"]) if metric else False
    by_unit: dict[tuple[object, bool], list[tuple[ReportMeasure, ChartSeries]]] = {}
    # The values of the last series are cut off.
    cut = answer["series"][-1] if answer.get("truncated") else None
    for each in answer["series"]:
        measure = subject.measures[each["label"][metric]] if metric else next(iter(subject.measures.values()))
        is_state = subject.report.is_gauge or measure.quotient is not None
        # What did not happen is zero; a state or a quotient without a value, or a hidden value, is unknown.
        is_incomplete = "masked" in each or each is cut
        is_unknown = is_state or is_incomplete
        values = tuple([0 if value is None and not is_unknown else value for value in each["values"]])
        # Groups of several measures have a panel for each measure, whose name need not be repeated.
        label = {key: value for key, value in each["label"].items() if not is_grouped or key != metric}
        name = subject.series_name(label, each.get("timezone", ""))
        series = ChartSeries(name, values, is_incomplete=is_incomplete)
        by_unit.setdefault((measure.name if is_grouped else subject.unit(measure), is_state), []).append(
            (measure, series)
        )
    notes = _masked_note(subject, answer["series"])
    if answer.get("truncated"):
        notes.append(
            language.translate("The answer has more values than are shown. Choose a shorter range or fewer groups.")
        )
    panels = []
    for (_, is_state), measured in by_unit.items():
        if all(value is None for _, series in measured for value in series.values):
            continue
        # Kinds of events are compared with each other; their sum has no meaning.
        has_kinds = any(key in ("type", "event") for each in answer["series"] for key in each["label"])
        is_sum = (
            all(subject.is_sum(measure) for measure, _ in measured) and (is_grouped or not metric) and not has_kinds
        )
        drawn, omitted = _largest([series for _, series in measured], is_sum, language)
        if omitted:
            notes.append(_omitted_note(omitted, language))
        name = subject.measure_name([measure for measure, _ in measured])
        panels.append(Panel(subject.unit(measured[0][0]), _shape(len(drawn), is_state, is_sum), drawn, name, is_state))
    return Chart(
        subject.title, subtitle, TimeAxis(language.words("time"), buckets), tuple(panels), tuple(notes), language
    )


def _shape(series: int, is_state: bool, is_sum: bool) -> Shape:
    if is_state:
        return Shape.LINES
    if series == 1:
        return Shape.BARS
    return Shape.STACKED_BARS if is_sum else Shape.LINES


def _largest(
    series: Sequence[ChartSeries], is_sum: bool, language: ChartLanguage
) -> tuple[tuple[ChartSeries, ...], int]:
    """The series that are drawn, in order: the largest, and where possible the sum of the others; how many are omitted."""
    if len(series) <= MAX_SERIES + is_sum:
        return tuple(series), 0
    by_size = sorted(series, key=lambda each: -sum(abs(float(value)) for value in each.values if value is not None))
    largest, rest = by_size[:MAX_SERIES], by_size[MAX_SERIES:]
    drawn = tuple([each for each in series if each in largest])
    if not is_sum:
        return drawn, len(rest)
    name = language.translate("{number} others").format(number=language.count(len(rest)))
    sums = tuple([_sum(rest, place) for place in range(len(rest[0].values))])
    return (*drawn, ChartSeries(name, sums, is_rest=True)), 0


def _sum(series: Iterable[ChartSeries], place: int) -> Figure | None:
    """The sum of the values of a place; unknown if none is known, or if one may be missing."""
    values = []
    for each in series:
        value = each.values[place]
        if value is not None:
            values.append(Decimal(str(value)))
        elif each.is_incomplete:
            return None
    return sum(values, Decimal(0)) if values else None


# Groups -------------------------------------------------------------------------------------------------------


def _group_chart(subject: Subject, answer: Mapping[str, Any]) -> Chart:
    language, measures = subject.language, subject.measures
    groups = list(_groups(subject, answer))
    known = [name for name in measures if any(values.get(name) is not None for _, values in groups)]
    if known and not _has_order(subject):
        groups.sort(key=lambda each: -(each[1].get(known[0]) or 0))
    named = [(measures[name], [values.get(name) for _, values in groups]) for name in known]
    names, notes = (
        [name for name, _ in groups],
        _masked_note(subject, answer.get("statistics") or answer.get("records", ())),
    )
    limit = subject.max_groups
    if len(groups) > limit:
        notes.append(_omitted_note(len(groups) - limit, language))
    # Sums and quotients of a unit differ in size, so they have an axis each.
    by_unit: dict[tuple[Unit, bool], list[ChartSeries]] = {}
    for measure, values in named:
        series = ChartSeries(language.words(measure.name), tuple(values[:limit]))
        by_unit.setdefault((subject.unit(measure), measure.quotient is not None), []).append(series)
    panels = tuple(
        [
            Panel(unit, Shape.BARS, part, part[0].name if len(part) == 1 else "")
            for (unit, _), series_of_unit in by_unit.items()
            for part in _parts(series_of_unit)
        ]
    )
    subtitle = ""
    if "from" in answer:
        subtitle = f"{language.moment(answer['from'])} – {language.moment(answer['to'], is_end=True)}"
    fields = () if subject.grouping is None else subject.grouping.fields
    title = " × ".join(language.words(each) for each in fields) or language.words("group")
    return Chart(subject.title, subtitle, GroupAxis(title, tuple(names[:limit])), panels, tuple(notes), language)


def _parts(series: Sequence[ChartSeries]) -> Iterator[tuple[ChartSeries, ...]]:
    """Panels of a unit with many measures: at most as many series as have a colour."""
    for start in range(0, len(series), MAX_SERIES):
        yield tuple(series[start : start + MAX_SERIES])


def _groups(subject: Subject, answer: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The name and the values of each group."""
    if answer["result_type"] == ReportFormat.STATISTICS.value:
        for each in answer["statistics"]:
            yield subject.series_name(each["label"]), each["values"]
        return
    fields = subject.report.default_group_by if subject.grouping is None else subject.grouping.fields
    keys = [each.key for each in labels_for(subject.report.fields_by_name[name] for name in fields)]
    for each in answer["records"]:
        labels = (
            {key: each[key] for key in keys}
            if keys
            else {key: each[key] for key in each if key not in subject.measures}
        )
        labels.pop("masked", None)
        yield subject.series_name(labels), each


def _has_order(subject: Subject) -> bool:
    """Whether the groups have an order of their own: numbers, dates, the values of enums, and several fields."""
    fields = () if subject.grouping is None else subject.grouping.fields
    if len(fields) != 1:
        return bool(fields)
    only = subject.report.fields_by_name[fields[0]]
    is_id = only.name.endswith(("_id", "_ids")) or only.label_names[0] in subject.names
    return bool(only.values) or (only.type in _ORDERED and not is_id)


_ORDERED = (FieldType.INTEGER, FieldType.NUMBER, FieldType.DATE, FieldType.TIMESTAMP)


# Notes --------------------------------------------------------------------------------------------------------


def _omitted_note(number: int, language: ChartLanguage) -> str:
    return language.translate("Not drawn: {number} smaller groups.").format(number=language.count(number))


def _masked_note(subject: Subject, groups: Iterable[Mapping[str, Any]]) -> list[str]:
    if not any("masked" in each for each in groups):
        return []
    return [subject.language.translate("Small groups are hidden by the privacy setting of this organization.")]
