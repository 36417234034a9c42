"""The columns of an export: names, types and descriptions, from the declaration of the report."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa

from regulars.auth.tenants import Tenant
from regulars.core.field_type import FieldType
from regulars.query.compiler.groups import GroupLabel
from regulars.query.encoders import PERCENT_DIGITS
from regulars.reports.report import ReportField, ReportMeasure

DECIMAL_PRECISION = 38

INSTANT = pa.timestamp("us", "UTC")
LOCAL_TIME = pa.timestamp("us")
FLAGS = pa.map_(pa.string(), pa.bool_())

_ARROW_TYPES = {
    FieldType.INTEGER: pa.int64(),
    FieldType.STRING: pa.string(),
    FieldType.BOOLEAN: pa.bool_(),
    FieldType.DATE: pa.date32(),
    FieldType.TIMESTAMP: INSTANT,
    FieldType.INTEGER_LIST: pa.list_(pa.int64()),
    FieldType.STRING_LIST: pa.list_(pa.string()),
    FieldType.FLAGS: FLAGS,
    FieldType.OBJECT: pa.string(),
}


@dataclass(frozen=True, slots=True)
class ExportColumn:
    """One column of an export.

    Objects of any shape are JSON in strings (`is_json`). Times are written in UTC with six decimals, but where `format_time`
    formats them as text; spreadsheets show them in the time zone `zone`, if there is one.
    """

    name: str
    type: FieldType
    arrow_type: pa.DataType
    description: str
    format_time: Callable[[datetime], str] | None = None
    zone: str | None = None

    @property
    def is_json(self) -> bool:
        """Whether the strings of the column are JSON."""
        return self.type is FieldType.OBJECT

    @property
    def arrow_field(self) -> pa.Field:
        """The field of an Arrow schema, with type and description of the report as metadata."""
        metadata = {"description": self.description, "type": self.type.report_name}
        return pa.field(self.name, self.arrow_type, metadata=metadata)


Columns = Sequence[ExportColumn]

CUSTOMER_COLUMNS = (
    ExportColumn("customer_id", FieldType.INTEGER, pa.int64(), "ID of the customer."),
    ExportColumn("customer_name", FieldType.STRING, pa.string(), "Name of the customer."),
)
MASKED = ExportColumn(
    "masked", FieldType.BOOLEAN, pa.bool_(), "True where the count is suppressed, because the group is small."
)


def arrow_schema(columns: Columns) -> pa.Schema:
    """The Arrow schema of columns."""
    return pa.schema([each.arrow_field for each in columns])


def arrow_type(type_: FieldType, minor_digits: int, decimals: int | None = None) -> pa.DataType:
    """The Arrow type of a type. `minor_digits` are the decimals of money, `decimals` those of other numbers."""
    if type_ is FieldType.MONEY:
        return pa.decimal128(DECIMAL_PRECISION, minor_digits)
    if type_ is FieldType.PERCENT:
        return pa.decimal128(DECIMAL_PRECISION, PERCENT_DIGITS)
    if type_ is FieldType.NUMBER:
        return pa.decimal128(DECIMAL_PRECISION, decimals or 0)
    return _ARROW_TYPES[type_]


def most_minor_digits(tenants: Iterable[Tenant]) -> int:
    """The number of decimals that the money of every tenant fits into."""
    return max(each.minor_digits for each in tenants)


def field_column(field: ReportField, minor_digits: int) -> ExportColumn:
    """The column of a field of records."""
    return ExportColumn(field.name, field.type, arrow_type(field.type, minor_digits), field.description)


def label_column(label: GroupLabel, minor_digits: int) -> ExportColumn:
    """The column of a label of groups."""
    return ExportColumn(label.key, label.type, arrow_type(label.type, minor_digits), label.field.description)


def measure_column(measure: ReportMeasure, minor_digits: int) -> ExportColumn:
    """The column of a measure of groups."""
    found = arrow_type(measure.type, minor_digits, measure.decimals)
    return ExportColumn(measure.name, measure.type, found, measure.description)
