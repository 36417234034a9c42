"""What a chart is: an axis of times or of groups, and panels of series, one panel for each unit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum

from regulars.charts.language import ENGLISH, ChartLanguage
from regulars.charts.value_names import translatable

Figure = int | float | Decimal


class Shape(Enum):
    """How the series of a panel are drawn."""

    BARS = "bars"
    STACKED_BARS = "stacked bars"
    LINES = "lines"


class Quantity(Enum):
    """What a figure counts or measures; the number format follows from it."""

    COUNT = translatable("number")
    MONEY = translatable("money")
    PERCENT = translatable("percent")
    RATE = translatable("rate")


@dataclass(frozen=True, slots=True)
class Unit:
    """The unit of a panel: its quantity, and the currency of money."""

    quantity: Quantity
    currency: str = ""


@dataclass(frozen=True, slots=True)
class ChartSeries:
    """One series: its name and a value for each place of the axis; None is unknown.

    `is_rest` sums up several. Of an `is_incomplete` series values may be unknown that are not zero: they are suppressed, or
    cut off.
    """

    name: str
    values: tuple[Figure | None, ...]
    is_rest: bool = False
    is_incomplete: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """The series of one unit.

    `measure` is what all of them measure, empty where that differs. `is_state` says that nothing is known of missing
    buckets; otherwise nothing happened in them.
    """

    unit: Unit
    shape: Shape
    series: tuple[ChartSeries, ...]
    measure: str = ""
    is_state: bool = True


@dataclass(frozen=True, slots=True)
class TimeBucket:
    """A bucket of time: its local start and end, and its name in words."""

    start: datetime
    end: datetime
    name: str


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The buckets of a time series. Those without any figure may be missing."""

    title: str
    buckets: tuple[TimeBucket, ...]

    @property
    def places(self) -> Sequence[str]:
        """The names of the buckets."""
        return [each.name for each in self.buckets]


@dataclass(frozen=True, slots=True)
class GroupAxis:
    """The names of groups, in the order in which they are drawn."""

    title: str
    groups: tuple[str, ...]

    @property
    def places(self) -> Sequence[str]:
        """The names of the groups."""
        return self.groups


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. Without panels there is nothing to draw. `notes` are sentences on what is not drawn."""

    title: str
    subtitle: str
    axis: TimeAxis | GroupAxis
    panels: tuple[Panel, ...]
    notes: tuple[str, ...] = ()
    language: ChartLanguage = ENGLISH

    @property
    def empty_text(self) -> str:
        """The sentence in place of a chart without figures."""
        return self.language.translate("There is no data for “{title}” in this range.").format(title=self.title)
