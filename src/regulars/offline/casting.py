"""From a column of whatever type to what its kind says: SQL, or a refusal of the type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from regulars.aggregations.engines import DUCKDB, SPARK, SqlEngine
from regulars.core.field_type import FieldType
from regulars.offline.errors import InvalidInputError


class TypeFamily(Enum):
    """The types that engines have, as far as reading tells them apart."""

    TEXT = "texts"
    INTEGER = "whole numbers"
    DECIMAL = "decimals"
    FLOAT = "floats"
    BOOLEAN = "true and false"
    TIMESTAMP = "times with a zone"
    LOCAL_TIME = "times without a zone"
    DATE = "dates"
    LIST = "lists"
    OBJECT = "objects"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class InputColumn:
    """A column as it was given: its name in SQL, its family, and of decimals how many they have."""

    sql: str
    family: TypeFamily
    scale: int = 0


@dataclass(frozen=True, slots=True)
class CastDialect:
    """How an engine says what reading needs.

    `parsed_instant` reads a text that ends in an offset. `numbers` says that numbers stand for profiles, brands and
    places in order, which one machine can give out; among many each keeps its name.
    """

    engine: SqlEngine
    string_type: str
    has_offset: Callable[[str], str]
    parse_timestamp: Callable[[str], str]
    to_utc: Callable[[str], str]
    to_json: Callable[[str], str]
    join_list: Callable[[str], str]
    is_list: Callable[[str], str]
    is_object: Callable[[str], str]
    json_field: Callable[[str, str], str]
    json_objects: Callable[[str, Sequence[str]], str]
    unnest: Callable[[str], str]
    sum_of_amounts: Callable[[str], str]
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


_OFFSET = r"[0-9:. ](Z|z|[+-][0-9][0-9](:?[0-9][0-9])?)$"

PARSED_TYPES = {
    *(
        FieldType.TIMESTAMP,
        FieldType.MONEY,
        FieldType.RATE,
        FieldType.QUANTITY,
        FieldType.BOOLEAN,
        FieldType.OBJECT_LIST,
        FieldType.OBJECT,
    ),
    *(FieldType.INTEGER, FieldType.INTEGER_LIST),
}
"""The kinds whose texts may be none."""

DECIMAL_SIZES = {FieldType.MONEY: (18, 6), FieldType.RATE: (19, 12), FieldType.QUANTITY: (13, 6)}
"""Digits in all, and of them decimals."""

_TYPES = {FieldType.TIMESTAMP: "TIMESTAMP", FieldType.BOOLEAN: "BOOLEAN", FieldType.INTEGER: "BIGINT"} | {
    kind: f"DECIMAL({digits}, {scale})" for kind, (digits, scale) in DECIMAL_SIZES.items()
}


# An object's parts come as texts, which are read like those of any column; discounts are a list of amounts.
def _duckdb_field(name: str) -> str:
    return f'"{name}": ' + ('[{"amount": "VARCHAR"}]' if name == "discounts" else '"VARCHAR"')


def _spark_field(name: str) -> str:
    return f"{name}: " + ("array<struct<amount: string>>" if name == "discounts" else "string")


DUCKDB_DIALECT = CastDialect(
    DUCKDB,
    "VARCHAR",
    has_offset=lambda c: f"(length({c}) > 10 AND regexp_matches({c}, '{_OFFSET}'))",
    parse_timestamp=lambda c: f"timezone('UTC', TRY_CAST({c} AS TIMESTAMPTZ))",
    to_utc=lambda c: f"timezone('UTC', {c})",
    to_json=lambda c: f"CAST(to_json({c}) AS VARCHAR)",
    join_list=lambda c: f"array_to_string({c}, ',')",
    is_list=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'ARRAY' ELSE FALSE END",
    is_object=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'OBJECT' ELSE FALSE END",
    json_field=lambda c, name: f"json_extract_string({c}, '$.{name}')",
    json_objects=lambda c, names: f"from_json({c}, '[{{{', '.join(_duckdb_field(each) for each in names)}}}]')",
    unnest=lambda c: f"unnest({c})",
    sum_of_amounts=lambda c: f"list_sum(list_transform({c}, lambda d: TRY_CAST(d.amount AS DECIMAL(18, 6))))",
    any_element=lambda c, condition: f"len(list_filter({c}, lambda d: {condition})) > 0",
    uses_ordinals=True,
    hash_of=lambda c: f"hash({c})",
    spine_key="CAST(row_number() OVER (ORDER BY profile, as_of) AS INT)",
    location_names="array_agg(external_id ORDER BY location_id)",
    name_at=lambda names, c: f"{names}[{c}]",
    names_at=lambda names, c: f"list_transform({c}, lambda id: {names}[id])",
    output_timestamp=lambda c: f"timezone('UTC', {c})",
    integer_type="HUGEINT",
    column_types=_TYPES,
)

SPARK_DIALECT = CastDialect(
    SPARK,
    "STRING",
    has_offset=lambda c: f"(length({c}) > 10 AND {c} RLIKE '{_OFFSET}')",
    parse_timestamp=lambda c: f"TRY_CAST({c} AS TIMESTAMP)",
    to_utc=lambda c: f"CAST({c} AS TIMESTAMP)",
    to_json=lambda c: f"to_json({c})",
    join_list=lambda c: f"array_join({c}, ',')",
    is_list=lambda c: f"schema_of_variant(try_parse_json({c})) LIKE 'ARRAY%'",
    is_object=lambda c: f"schema_of_variant(try_parse_json({c})) LIKE 'OBJECT%'",
    json_field=lambda c, name: f"get_json_object({c}, '$.{name}')",
    json_objects=lambda c, names: f"from_json({c}, 'array<struct<{', '.join(_spark_field(each) for each in names)}>>')",
    unnest=lambda c: f"explode({c})",
    sum_of_amounts=lambda c: (
        f"aggregate({c}, CAST(0 AS DECIMAL(38, 6)), (sum, d) -> sum + TRY_CAST(d.amount AS DECIMAL(18, 6)))"
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
    column_types=_TYPES,
)


def null_of(kind: FieldType, dialect: CastDialect) -> str:
    """What stands for a column that is not there."""
    return f"CAST(NULL AS {dialect.column_types.get(kind, dialect.string_type)})"


def cast(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    """A column as its kind says; null where it is empty or does not fit. Raises InvalidInputError for the type itself."""
    read = _READ.get((kind, given.family))
    if read is None:
        raise InvalidInputError(f"holds {given.family.value}, and must be {kind.input_format}")
    return read(kind, given, dialect)


def local_time(given: InputColumn, dialect: CastDialect) -> str:
    """The wall-clock time of a column of times that has no offset; null where it has one."""
    c = given.sql
    if given.family is TypeFamily.TEXT:
        return f"CASE WHEN NOT {dialect.has_offset(c)} THEN TRY_CAST(nullif({c}, '') AS TIMESTAMP) END"
    return "CAST(NULL AS TIMESTAMP)" if given.family is TypeFamily.TIMESTAMP else f"CAST({c} AS TIMESTAMP)"


def can_fail(kind: FieldType, given: InputColumn) -> bool:
    """Whether a value of a column's type may be none of its kind."""
    if kind is FieldType.STRING:
        return given.family is TypeFamily.FLOAT
    return kind in PARSED_TYPES and given.family in (
        TypeFamily.TEXT,
        TypeFamily.FLOAT,
        TypeFamily.DECIMAL,
        TypeFamily.INTEGER,
    )


def is_present(given: InputColumn) -> str:
    """Whether a row says anything in a column."""
    return f"{given.sql} <> ''" if given.family is TypeFamily.TEXT else f"{given.sql} IS NOT NULL"


def _itself(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return given.sql


def _text(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return f"nullif({given.sql}, '')"


def _as_text(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return f"CAST({given.sql} AS {dialect.string_type})"


def _whole_as_text(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    # Whole numbers with gaps become floats on their way; what is too large for each to be told is none.
    c = given.sql
    is_whole = f"{c} = floor({c}) AND abs({c}) < 9007199254740992"
    return f"CASE WHEN {is_whole} THEN CAST(CAST({c} AS BIGINT) AS {dialect.string_type}) END"


def _exact(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    digits, scale = DECIMAL_SIZES[kind]
    c = given.sql
    if given.family is TypeFamily.DECIMAL and given.scale <= scale:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale + given.scale}, {given.scale}))"
    if given.family is TypeFamily.INTEGER:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale}, 0))"
    # A float is the decimal that it is written as; what has more decimals than there may be is not rounded.
    text = f"CAST({c} AS {dialect.string_type})" if given.family is TypeFamily.FLOAT else f"nullif(trim({c}), '')"
    text = c if given.family is TypeFamily.DECIMAL else text
    narrow = f"TRY_CAST({text} AS DECIMAL({digits}, {scale}))"
    return f"CASE WHEN {narrow} = TRY_CAST({text} AS DECIMAL(38, 25)) THEN {narrow} END"


def _instant(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    c = given.sql
    if given.family is TypeFamily.TEXT:
        return f"CASE WHEN {dialect.has_offset(c)} THEN {dialect.parse_timestamp(c)} END"
    return dialect.to_utc(c) if given.family is TypeFamily.TIMESTAMP else "CAST(NULL AS TIMESTAMP)"


def _whole(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    # A text with a point would be rounded.
    c = given.sql
    is_whole = f"trim({c}) NOT LIKE '%.%' AND lower({c}) NOT LIKE '%e%'" if given.family is TypeFamily.TEXT else "TRUE"
    is_whole = f"{c} = floor({c})" if given.family in (TypeFamily.FLOAT, TypeFamily.DECIMAL) else is_whole
    return f"CASE WHEN {is_whole} THEN TRY_CAST({c} AS BIGINT) END"


def _flag(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    c = given.sql
    if given.family is TypeFamily.INTEGER:
        return f"CASE {c} WHEN 0 THEN FALSE WHEN 1 THEN TRUE END"
    return f"CASE lower({c}) WHEN 'true' THEN TRUE WHEN '1' THEN TRUE WHEN 'false' THEN FALSE WHEN '0' THEN FALSE END"


def _joined(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return dialect.join_list(given.sql)


def _list(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return f"CASE WHEN {dialect.is_list(given.sql)} THEN {given.sql} END"


def _object(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return f"CASE WHEN {dialect.is_object(given.sql)} THEN {given.sql} END"


def _json(kind: FieldType, given: InputColumn, dialect: CastDialect) -> str:
    return dialect.to_json(given.sql)


_READ: Mapping[tuple[FieldType, TypeFamily], Callable[[FieldType, InputColumn, CastDialect], str]] = {
    (FieldType.STRING, TypeFamily.TEXT): _text,
    (FieldType.STRING, TypeFamily.INTEGER): _as_text,
    (FieldType.STRING, TypeFamily.FLOAT): _whole_as_text,
    **{
        (FieldType.TIMESTAMP, family): _instant
        for family in (TypeFamily.TEXT, TypeFamily.TIMESTAMP, TypeFamily.LOCAL_TIME, TypeFamily.DATE)
    },
    **{
        (kind, family): _exact
        for kind in DECIMAL_SIZES
        for family in (TypeFamily.TEXT, TypeFamily.INTEGER, TypeFamily.DECIMAL, TypeFamily.FLOAT)
    },
    (FieldType.BOOLEAN, TypeFamily.BOOLEAN): _itself,
    (FieldType.BOOLEAN, TypeFamily.INTEGER): _flag,
    (FieldType.BOOLEAN, TypeFamily.TEXT): _flag,
    **{
        (FieldType.INTEGER, family): _whole
        for family in (TypeFamily.TEXT, TypeFamily.INTEGER, TypeFamily.DECIMAL, TypeFamily.FLOAT)
    },
    (FieldType.INTEGER_LIST, TypeFamily.TEXT): _list,
    (FieldType.INTEGER_LIST, TypeFamily.LIST): _json,
    (FieldType.STRING_LIST, TypeFamily.TEXT): _text,
    (FieldType.STRING_LIST, TypeFamily.LIST): _joined,
    (FieldType.OBJECT_LIST, TypeFamily.TEXT): _list,
    (FieldType.OBJECT_LIST, TypeFamily.LIST): _json,
    (FieldType.OBJECT, TypeFamily.TEXT): _object,
    (FieldType.OBJECT, TypeFamily.OBJECT): _json,
}
