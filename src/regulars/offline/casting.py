"""Casts input columns to their declared types, in SQL; unsupported types are rejected."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from regulars.aggregations.engines import DUCKDB, SPARK, SqlEngine
from regulars.core import cells
from regulars.core.cells import DECIMAL_SIZES, ISO_CELLS, ROUNDED_DECIMALS, CellFormat
from regulars.core.field_type import FieldType
from regulars.core.number_forms import INTEGER, NUMBER
from regulars.model.transactions.line_items import MAX_ITEMS
from regulars.offline import item_lists, time_cells
from regulars.offline.errors import InvalidInputError
from regulars.offline.text_functions import DUCKDB_TEXT, SPARK_TEXT, TextFunctions


class TypeFamily(Enum):
    """Families of column types that casting distinguishes."""

    TEXT = "strings"
    INTEGER = "integers"
    DECIMAL = "decimals"
    FLOAT = "floats"
    BOOLEAN = "booleans"
    TIMESTAMP = "timestamps with time zone"
    LOCAL_TIME = "timestamps without time zone"
    DATE = "dates"
    LIST = "lists"
    OBJECT = "objects"
    OTHER = "values of another type"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column of an input: its name in SQL, its type family, the scale of decimals, and how its text is written."""

    sql: str
    family: TypeFamily
    scale: int = 0
    cell_format: CellFormat = ISO_CELLS


@dataclass(frozen=True, slots=True)
class CastDialect:
    """SQL generators of an engine for casting.

    `text` are its functions on text. `items` is a text with a list of line items, as `item_lists.read_lists` returns it if
    `validates_items`, else null if it is no list; `item_objects` are its items with texts by name, and their discounts, which
    are objects with an amount if they are validated, else text. `sum_of` adds an expression over the elements `d` of a
    list; null if it is empty.
    `uses_ordinals` is true if the engine encodes profiles, brands and locations as ordinals, which needs a single machine.
    """

    engine: SqlEngine
    string_type: str
    text: TextFunctions
    to_utc: Callable[[str], str]
    to_json: Callable[[str], str]
    join_list: Callable[[str], str]
    is_list: Callable[[str], str]
    is_object: Callable[[str], str]
    json_field: Callable[[str, str], str]
    json_objects: Callable[[str, Sequence[str]], str]
    items: Callable[[str], str]
    validates_items: bool
    item_objects: Callable[[str, Sequence[str]], str]
    unnest: Callable[[str], str]
    sum_of: Callable[[str, str], str]
    any_element: Callable[[str, str], str]
    uses_ordinals: bool
    hash_of: Callable[[str], str]
    spine_key: str
    location_names: str
    name_at: Callable[[str, str], str]
    names_at: Callable[[str, str], str]
    output_timestamp: Callable[[str], str]
    integer_type: str
    column_types: Mapping[FieldType, str]


PARSED_TYPES = {
    *(
        FieldType.TIMESTAMP,
        FieldType.MONEY,
        FieldType.RATE,
        FieldType.QUANTITY,
        FieldType.BOOLEAN,
        FieldType.OBJECT_LIST,
        FieldType.OBJECT,
        FieldType.LINE_ITEMS,
    ),
    *(FieldType.INTEGER, FieldType.INTEGER_LIST),
}
"""Types that strings must be parsed for, which may fail."""

_SQL_TYPES = {FieldType.TIMESTAMP: "TIMESTAMP", FieldType.BOOLEAN: "BOOLEAN", FieldType.INTEGER: "BIGINT"} | {
    column_type: f"DECIMAL({digits}, {scale})" for column_type, (digits, scale) in DECIMAL_SIZES.items()
}

READ_ITEM_LISTS = "read_item_lists"
"""The function of DuckDB that is `item_lists.read_lists`."""


def _duckdb_items(c: str) -> str:
    """A list in the plain form as it is; the function reads the others."""
    conditions = (
        DUCKDB_TEXT.matches(c, item_lists.PLAIN),
        f"json_valid({c})",
        f"NOT regexp_matches({c}, '{item_lists.REPEATED_KEY}')",
        f"(strlen({c}) <= {MAX_ITEMS} OR strlen({c}) - strlen(replace({c}, '{{', '')) <= {MAX_ITEMS})",
    )
    is_plain, is_present = " AND ".join(conditions), f"{DUCKDB_TEXT.trim(c)} <> ''"
    return f"CASE WHEN {is_plain} THEN {c} WHEN {is_present} THEN {READ_ITEM_LISTS}({c}) END"


def _duckdb_item_objects(c: str, names: Sequence[str]) -> str:
    schema = {**dict.fromkeys(names, "VARCHAR"), "discounts": [{"amount": "VARCHAR"}]}
    return f"from_json({c}, '{json.dumps([schema])}')"


def _spark_objects(c: str, names: Sequence[str]) -> str:
    # A list with another value than objects is null as a whole; then its only element is null.
    return f"coalesce(from_json({c}, 'array<struct<{': string, '.join(names)}: string>>'), array(NULL))"


def _spark_items(c: str) -> str:
    return f"CASE WHEN {_is_spark_list(c)} THEN {c} END"


def _is_spark_list(c: str) -> str:
    return f"schema_of_variant(try_parse_json({c})) LIKE 'ARRAY%'"


DUCKDB_DIALECT = CastDialect(
    DUCKDB,
    "VARCHAR",
    text=DUCKDB_TEXT,
    # Without the calendar of a time zone, which takes ten times as long. An infinite time has no microseconds.
    to_utc=lambda c: f"CASE WHEN isfinite({c}) THEN make_timestamp(epoch_us({c})) ELSE timezone('UTC', {c}) END",
    to_json=lambda c: f"CAST(to_json({c}) AS VARCHAR)",
    join_list=lambda c: f"array_to_string({c}, ',')",
    is_list=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'ARRAY' ELSE FALSE END",
    is_object=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'OBJECT' ELSE FALSE END",
    json_field=lambda c, name: f"json_extract_string({c}, '$.{name}')",
    json_objects=lambda c, names: f"from_json({c}, '{json.dumps([dict.fromkeys(names, 'VARCHAR')])}')",
    items=_duckdb_items,
    validates_items=True,
    item_objects=_duckdb_item_objects,
    unnest=lambda c: f"unnest({c})",
    sum_of=lambda c, amount: f"list_sum(list_transform({c}, lambda d: {amount}))",
    any_element=lambda c, condition: f"len(list_filter({c}, lambda d: {condition})) > 0",
    uses_ordinals=True,
    hash_of=lambda c: f"hash({c})",
    spine_key="CAST(row_number() OVER (ORDER BY profile, as_of) AS INT)",
    location_names="array_agg(external_id ORDER BY location_id)",
    name_at=lambda names, c: f"{names}[{c}]",
    names_at=lambda names, c: f"list_transform({c}, lambda id: {names}[id])",
    output_timestamp=lambda c: f"timezone('UTC', {c})",
    integer_type="HUGEINT",
    column_types=_SQL_TYPES,
)

SPARK_DIALECT = CastDialect(
    SPARK,
    "STRING",
    text=SPARK_TEXT,
    to_utc=lambda c: f"CAST({c} AS TIMESTAMP)",
    to_json=lambda c: f"to_json({c})",
    join_list=lambda c: f"array_join({c}, ',')",
    is_list=_is_spark_list,
    is_object=lambda c: f"schema_of_variant(try_parse_json({c})) LIKE 'OBJECT%'",
    json_field=lambda c, name: f"get_json_object({c}, '$.{name}')",
    json_objects=_spark_objects,
    items=_spark_items,
    validates_items=False,
    item_objects=lambda c, names: _spark_objects(c, (*names, "discounts")),
    unnest=lambda c: f"explode({c})",
    sum_of=lambda c, amount: (
        f"CASE WHEN size({c}) > 0 THEN aggregate({c}, CAST(0 AS DECIMAL(38, 6)), (sum, d) -> sum + {amount}) END"
    ),
    any_element=lambda c, condition: f"exists({c}, d -> {condition})",
    uses_ordinals=False,
    hash_of=lambda c: f"xxhash64({c})",
    spine_key="concat_ws('@', profile, as_of)",
    location_names=("transform(array_sort(collect_list(struct(location_id, external_id))), each -> each.external_id)"),
    name_at=lambda names, c: f"try_element_at({names}, CAST({c} AS INT))",
    names_at=lambda names, c: f"transform({c}, id -> element_at({names}, CAST(id AS INT)))",
    output_timestamp=lambda c: c,
    integer_type="DECIMAL(38, 0)",
    column_types=_SQL_TYPES,
)


def null_of(column_type: FieldType, dialect: CastDialect) -> str:
    """Typed null that stands for a missing column."""
    return f"CAST(NULL AS {dialect.column_types.get(column_type, dialect.string_type)})"


def cast(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    """SQL that casts a column; null if it is empty or invalid. Raises InvalidInputError for an unsupported type."""
    cast_column = _CASTS.get((column_type, column.family))
    if cast_column is None:
        raise InvalidInputError(f"contains {column.family.value} but must be {column_type.input_format}")
    return cast_column(column_type, column, dialect)


def local_time(column: InputColumn, dialect: CastDialect) -> str:
    """Local time of a timestamp column without an offset; null for values with an offset."""
    c = column.sql
    if column.family is TypeFamily.TEXT:
        return time_cells.local_time(c, column.cell_format.time_forms, dialect.text)
    return "CAST(NULL AS TIMESTAMP)" if column.family is TypeFamily.TIMESTAMP else f"CAST({c} AS TIMESTAMP)"


def can_fail(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> bool:
    """Whether the cast of a column may fail for some values. Lists of items have their own errors if an engine validates them."""
    if column_type is FieldType.LINE_ITEMS and dialect.validates_items:
        return False
    if column_type is FieldType.STRING:
        return column.family is TypeFamily.FLOAT
    return column_type in PARSED_TYPES and column.family in (
        TypeFamily.TEXT,
        TypeFamily.FLOAT,
        TypeFamily.DECIMAL,
        TypeFamily.INTEGER,
    )


def is_present(column: InputColumn, dialect: CastDialect) -> str:
    """SQL condition for rows with a value in a parsed column."""
    if column.family is TypeFamily.TEXT:
        return f"{dialect.text.trim(column.sql)} <> ''"
    return f"{column.sql} IS NOT NULL"


def _unchanged(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return column.sql


def trimmed_text(text: str, dialect: CastDialect) -> str:
    """SQL of a text without the blanks around it; null if nothing else is in it."""
    return f"nullif({dialect.text.trim(text)}, '')"


def _text(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return f"nullif({column.sql}, '')"


def _as_text(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return f"CAST({column.sql} AS {dialect.string_type})"


def _integer_as_text(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    # Integers with gaps are often read as floats; above 2^53 they are not exact and are rejected.
    c = column.sql
    is_integer = f"{c} = floor({c}) AND abs({c}) < 9007199254740992"
    return f"CASE WHEN {is_integer} THEN CAST(CAST({c} AS BIGINT) AS {dialect.string_type}) END"


def _exact(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    digits, scale = DECIMAL_SIZES[column_type]
    c = column.sql
    if column.family is TypeFamily.DECIMAL and column.scale <= scale:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale + column.scale}, {column.scale}))"
    if column.family is TypeFamily.INTEGER:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale}, 0))"
    # A float is read as the decimal that it prints as; values with too many decimal places are rejected, not rounded.
    text = f"CAST({c} AS {dialect.string_type})" if column.family is TypeFamily.FLOAT else c
    text = _plain_number(column, dialect) if column.family is TypeFamily.TEXT else text
    narrow = f"TRY_CAST({text} AS DECIMAL({digits}, {scale}))"
    difference = f"abs(TRY_CAST({text} AS DECIMAL(38, 25)) - {narrow})"
    exact = f"CASE WHEN {difference} <= {10**-ROUNDED_DECIMALS / 10**scale:.15f} THEN {narrow} END"
    if column.family is not TypeFamily.TEXT:
        return exact
    plain = f"-?[0-9]{{1,{digits - scale}}}([.][0-9]{{1,{scale}}})?"
    # With a decimal comma, points separate thousands.
    common = plain if column.cell_format.numbers.mark == "." else f"-?[0-9]{{1,{digits - scale}}}"
    return f"""CASE WHEN {dialect.text.matches(c, common)} THEN CAST({c} AS DECIMAL({digits}, {scale}))
     WHEN {dialect.text.matches(text, NUMBER)} THEN {exact} END"""


def _plain_number(column: InputColumn, dialect: CastDialect) -> str:
    """The number in a text with a decimal point and without separators; null if it does not have the form of the file."""
    text, form = dialect.text.trim(column.sql), column.cell_format.numbers
    if form.is_plain:
        return text
    plain = f"replace({dialect.text.remove(text, form.removed)}, '{form.mark}', '.')"
    return f"CASE WHEN {dialect.text.matches(text, form.pattern)} THEN {plain} END"


def _timestamp(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    c = column.sql
    if column.family is TypeFamily.TEXT:
        return time_cells.instant(c, column.cell_format.time_forms, dialect.text)
    return dialect.to_utc(c) if column.family is TypeFamily.TIMESTAMP else "CAST(NULL AS TIMESTAMP)"


def _integer(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    c = column.sql
    if column.family is TypeFamily.TEXT:
        text = _plain_number(column, dialect)
        digits = f"regexp_replace({text}, '[.]0*', '')"
        return f"CASE WHEN {dialect.text.matches(text, INTEGER)} THEN TRY_CAST({digits} AS BIGINT) END"
    is_integer = f"{c} = floor({c})" if column.family in (TypeFamily.FLOAT, TypeFamily.DECIMAL) else "TRUE"
    return f"CASE WHEN {is_integer} THEN TRY_CAST({c} AS BIGINT) END"


def _boolean(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    c = column.sql
    if column.family is TypeFamily.INTEGER:
        return f"CASE {c} WHEN 0 THEN FALSE WHEN 1 THEN TRUE END"
    text = f"lower({dialect.text.trim(c)})"
    words = {"TRUE": cells.TRUE, "FALSE": cells.FALSE}
    cases = [f"WHEN {text} IN ({', '.join(map(repr, each))}) THEN {value}" for value, each in words.items()]
    return f"CASE {' '.join(cases)} END"


def _joined_list(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return dialect.join_list(column.sql)


def _list(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return f"CASE WHEN {dialect.is_list(column.sql)} THEN {column.sql} END"


def _items(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return dialect.items(column.sql if column.family is TypeFamily.TEXT else dialect.to_json(column.sql))


def _object(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return f"CASE WHEN {dialect.is_object(column.sql)} THEN {column.sql} END"


def _json(column_type: FieldType, column: InputColumn, dialect: CastDialect) -> str:
    return dialect.to_json(column.sql)


_CASTS: Mapping[tuple[FieldType, TypeFamily], Callable[[FieldType, InputColumn, CastDialect], str]] = {
    (FieldType.STRING, TypeFamily.TEXT): _text,
    (FieldType.STRING, TypeFamily.INTEGER): _as_text,
    (FieldType.STRING, TypeFamily.FLOAT): _integer_as_text,
    **{
        (FieldType.TIMESTAMP, family): _timestamp
        for family in (TypeFamily.TEXT, TypeFamily.TIMESTAMP, TypeFamily.LOCAL_TIME, TypeFamily.DATE)
    },
    **{
        (column_type, family): _exact
        for column_type in DECIMAL_SIZES
        for family in (TypeFamily.TEXT, TypeFamily.INTEGER, TypeFamily.DECIMAL, TypeFamily.FLOAT)
    },
    (FieldType.BOOLEAN, TypeFamily.BOOLEAN): _unchanged,
    (FieldType.BOOLEAN, TypeFamily.INTEGER): _boolean,
    (FieldType.BOOLEAN, TypeFamily.TEXT): _boolean,
    **{
        (FieldType.INTEGER, family): _integer
        for family in (TypeFamily.TEXT, TypeFamily.INTEGER, TypeFamily.DECIMAL, TypeFamily.FLOAT)
    },
    (FieldType.INTEGER_LIST, TypeFamily.TEXT): _list,
    (FieldType.INTEGER_LIST, TypeFamily.LIST): _json,
    (FieldType.STRING_LIST, TypeFamily.TEXT): _text,
    (FieldType.STRING_LIST, TypeFamily.LIST): _joined_list,
    (FieldType.OBJECT_LIST, TypeFamily.TEXT): _list,
    (FieldType.OBJECT_LIST, TypeFamily.LIST): _json,
    (FieldType.LINE_ITEMS, TypeFamily.TEXT): _items,
    (FieldType.LINE_ITEMS, TypeFamily.LIST): _items,
    (FieldType.OBJECT, TypeFamily.TEXT): _object,
    (FieldType.OBJECT, TypeFamily.OBJECT): _json,
}
