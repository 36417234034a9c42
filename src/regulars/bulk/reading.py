"""From a column of whatever type to what its kind says: SQL, or a refusal of the type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from regulars.aggregations.engines import DUCKDB, SPARK, Engine
from regulars.bulk.refusals import UnfitError
from regulars.bulk.tables import Kind


class Family(Enum):
    """The types that engines have, as far as reading tells them apart."""

    TEXT = "texts"
    INTEGER = "whole numbers"
    DECIMAL = "decimals"
    FLOAT = "floats"
    BOOLEAN = "true and false"
    INSTANT = "times with a zone"
    LOCAL = "times without a zone"
    DATE = "dates"
    LIST = "lists"
    OBJECT = "objects"
    OTHER = "something else"


@dataclass(frozen=True, slots=True)
class Given:
    """A column as it was given: its name in SQL, its family, and of decimals how many they have."""

    sql: str
    family: Family
    scale: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an engine says what reading needs.

    `parsed_instant` reads a text that ends in an offset. `numbers` says that numbers stand for profiles, brands and
    places in order, which one machine can give out; among many each keeps its name.
    """

    engine: Engine
    string: str
    has_offset: Callable[[str], str]
    parsed_instant: Callable[[str], str]
    utc: Callable[[str], str]
    json: Callable[[str], str]
    joined: Callable[[str], str]
    is_list: Callable[[str], str]
    is_object: Callable[[str], str]
    json_part: Callable[[str, str], str]
    json_objects: Callable[[str, Sequence[str]], str]
    each_of: Callable[[str], str]
    sum_of_amounts: Callable[[str], str]
    some: Callable[[str, str], str]
    numbers: bool
    fingerprint: Callable[[str], str]
    number_of_pair: str
    names_of_locations: str
    name_at: Callable[[str, str], str]
    names_at: Callable[[str, str], str]
    shown_instant: Callable[[str], str]
    whole: str
    nothing: Mapping[Kind, str]


_OFFSET = r"[0-9:. ](Z|z|[+-][0-9][0-9](:?[0-9][0-9])?)$"

PARSED = {
    *(Kind.TIME, Kind.MONEY, Kind.RATE, Kind.QUANTITY, Kind.FLAG, Kind.OBJECTS, Kind.OBJECT),
    *(Kind.WHOLE, Kind.IDS),
}
"""The kinds whose texts may be none."""

SIZES = {Kind.MONEY: (18, 6), Kind.RATE: (19, 12), Kind.QUANTITY: (13, 6)}
"""Digits in all, and of them decimals."""

_TYPES = {Kind.TIME: "TIMESTAMP", Kind.FLAG: "BOOLEAN", Kind.WHOLE: "BIGINT"} | {
    kind: f"DECIMAL({digits}, {scale})" for kind, (digits, scale) in SIZES.items()
}


# An object's parts come as texts, which are read like those of any column; discounts are a list of amounts.
def _duckdb_field(name: str) -> str:
    return f'"{name}": ' + ('[{"amount": "VARCHAR"}]' if name == "discounts" else '"VARCHAR"')


def _spark_field(name: str) -> str:
    return f"{name}: " + ("array<struct<amount: string>>" if name == "discounts" else "string")


DUCKDB_DIALECT = Dialect(
    DUCKDB,
    "VARCHAR",
    has_offset=lambda c: f"(length({c}) > 10 AND regexp_matches({c}, '{_OFFSET}'))",
    parsed_instant=lambda c: f"timezone('UTC', TRY_CAST({c} AS TIMESTAMPTZ))",
    utc=lambda c: f"timezone('UTC', {c})",
    json=lambda c: f"CAST(to_json({c}) AS VARCHAR)",
    joined=lambda c: f"array_to_string({c}, ',')",
    is_list=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'ARRAY' ELSE FALSE END",
    is_object=lambda c: f"CASE WHEN json_valid({c}) THEN json_type({c}) = 'OBJECT' ELSE FALSE END",
    json_part=lambda c, name: f"json_extract_string({c}, '$.{name}')",
    json_objects=lambda c, names: f"from_json({c}, '[{{{', '.join(_duckdb_field(each) for each in names)}}}]')",
    each_of=lambda c: f"unnest({c})",
    sum_of_amounts=lambda c: f"list_sum(list_transform({c}, lambda d: TRY_CAST(d.amount AS DECIMAL(18, 6))))",
    some=lambda c, condition: f"len(list_filter({c}, lambda d: {condition})) > 0",
    numbers=True,
    fingerprint=lambda c: f"hash({c})",
    number_of_pair="CAST(row_number() OVER (ORDER BY profile, as_of) AS INT)",
    names_of_locations="array_agg(external_id ORDER BY location_id)",
    name_at=lambda names, c: f"{names}[{c}]",
    names_at=lambda names, c: f"list_transform({c}, lambda id: {names}[id])",
    shown_instant=lambda c: f"timezone('UTC', {c})",
    whole="HUGEINT",
    nothing=_TYPES,
)

SPARK_DIALECT = Dialect(
    SPARK,
    "STRING",
    has_offset=lambda c: f"(length({c}) > 10 AND {c} RLIKE '{_OFFSET}')",
    parsed_instant=lambda c: f"TRY_CAST({c} AS TIMESTAMP)",
    utc=lambda c: f"CAST({c} AS TIMESTAMP)",
    json=lambda c: f"to_json({c})",
    joined=lambda c: f"array_join({c}, ',')",
    is_list=lambda c: f"schema_of_variant(try_parse_json({c})) LIKE 'ARRAY%'",
    is_object=lambda c: f"schema_of_variant(try_parse_json({c})) LIKE 'OBJECT%'",
    json_part=lambda c, name: f"get_json_object({c}, '$.{name}')",
    json_objects=lambda c, names: f"from_json({c}, 'array<struct<{', '.join(_spark_field(each) for each in names)}>>')",
    each_of=lambda c: f"explode({c})",
    sum_of_amounts=lambda c: (
        f"aggregate({c}, CAST(0 AS DECIMAL(38, 6)), (sum, d) -> sum + TRY_CAST(d.amount AS DECIMAL(18, 6)))"
    ),
    some=lambda c, condition: f"exists({c}, d -> {condition})",
    numbers=False,
    fingerprint=lambda c: f"xxhash64({c})",
    number_of_pair="concat_ws('@', profile, as_of)",
    names_of_locations=(
        "transform(array_sort(collect_list(struct(location_id, external_id))), each -> each.external_id)"
    ),
    name_at=lambda names, c: f"try_element_at({names}, CAST({c} AS INT))",
    names_at=lambda names, c: f"transform({c}, id -> element_at({names}, CAST(id AS INT)))",
    shown_instant=lambda c: c,
    whole="DECIMAL(38, 0)",
    nothing=_TYPES,
)


def nothing(kind: Kind, dialect: Dialect) -> str:
    """What stands for a column that is not there."""
    return f"CAST(NULL AS {dialect.nothing.get(kind, dialect.string)})"


def typed(kind: Kind, given: Given, dialect: Dialect) -> str:
    """A column as its kind says; null where it is empty or does not fit. Raises UnfitError for the type itself."""
    read = _READ.get((kind, given.family))
    if read is None:
        raise UnfitError(f"holds {given.family.value}, and must be {kind.value}")
    return read(kind, given, dialect)


def local_time(given: Given, dialect: Dialect) -> str:
    """The wall-clock time of a column of times that has no offset; null where it has one."""
    c = given.sql
    if given.family is Family.TEXT:
        return f"CASE WHEN NOT {dialect.has_offset(c)} THEN TRY_CAST(nullif({c}, '') AS TIMESTAMP) END"
    return "CAST(NULL AS TIMESTAMP)" if given.family is Family.INSTANT else f"CAST({c} AS TIMESTAMP)"


def may_be_wrong(kind: Kind, given: Given) -> bool:
    """Whether a value of a column's type may be none of its kind."""
    if kind is Kind.TEXT:
        return given.family is Family.FLOAT
    return kind in PARSED and given.family in (Family.TEXT, Family.FLOAT, Family.DECIMAL, Family.INTEGER)


def is_given(given: Given) -> str:
    """Whether a row says anything in a column."""
    return f"{given.sql} <> ''" if given.family is Family.TEXT else f"{given.sql} IS NOT NULL"


def _itself(kind: Kind, given: Given, dialect: Dialect) -> str:
    return given.sql


def _text(kind: Kind, given: Given, dialect: Dialect) -> str:
    return f"nullif({given.sql}, '')"


def _as_text(kind: Kind, given: Given, dialect: Dialect) -> str:
    return f"CAST({given.sql} AS {dialect.string})"


def _whole_as_text(kind: Kind, given: Given, dialect: Dialect) -> str:
    # Whole numbers with gaps become floats on their way; what is too large for each to be told is none.
    c = given.sql
    is_whole = f"{c} = floor({c}) AND abs({c}) < 9007199254740992"
    return f"CASE WHEN {is_whole} THEN CAST(CAST({c} AS BIGINT) AS {dialect.string}) END"


def _exact(kind: Kind, given: Given, dialect: Dialect) -> str:
    digits, scale = SIZES[kind]
    c = given.sql
    if given.family is Family.DECIMAL and given.scale <= scale:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale + given.scale}, {given.scale}))"
    if given.family is Family.INTEGER:
        return f"TRY_CAST({c} AS DECIMAL({digits - scale}, 0))"
    # A float is the decimal that it is written as; what has more decimals than there may be is not rounded.
    text = f"CAST({c} AS {dialect.string})" if given.family is Family.FLOAT else f"nullif(trim({c}), '')"
    text = c if given.family is Family.DECIMAL else text
    narrow = f"TRY_CAST({text} AS DECIMAL({digits}, {scale}))"
    return f"CASE WHEN {narrow} = TRY_CAST({text} AS DECIMAL(38, 25)) THEN {narrow} END"


def _instant(kind: Kind, given: Given, dialect: Dialect) -> str:
    c = given.sql
    if given.family is Family.TEXT:
        return f"CASE WHEN {dialect.has_offset(c)} THEN {dialect.parsed_instant(c)} END"
    return dialect.utc(c) if given.family is Family.INSTANT else "CAST(NULL AS TIMESTAMP)"


def _whole(kind: Kind, given: Given, dialect: Dialect) -> str:
    # A text with a point would be rounded.
    c = given.sql
    is_whole = f"trim({c}) NOT LIKE '%.%' AND lower({c}) NOT LIKE '%e%'" if given.family is Family.TEXT else "TRUE"
    is_whole = f"{c} = floor({c})" if given.family in (Family.FLOAT, Family.DECIMAL) else is_whole
    return f"CASE WHEN {is_whole} THEN TRY_CAST({c} AS BIGINT) END"


def _flag(kind: Kind, given: Given, dialect: Dialect) -> str:
    c = given.sql
    if given.family is Family.INTEGER:
        return f"CASE {c} WHEN 0 THEN FALSE WHEN 1 THEN TRUE END"
    return f"CASE lower({c}) WHEN 'true' THEN TRUE WHEN '1' THEN TRUE WHEN 'false' THEN FALSE WHEN '0' THEN FALSE END"


def _joined(kind: Kind, given: Given, dialect: Dialect) -> str:
    return dialect.joined(given.sql)


def _list(kind: Kind, given: Given, dialect: Dialect) -> str:
    return f"CASE WHEN {dialect.is_list(given.sql)} THEN {given.sql} END"


def _object(kind: Kind, given: Given, dialect: Dialect) -> str:
    return f"CASE WHEN {dialect.is_object(given.sql)} THEN {given.sql} END"


def _json(kind: Kind, given: Given, dialect: Dialect) -> str:
    return dialect.json(given.sql)


_READ: Mapping[tuple[Kind, Family], Callable[[Kind, Given, Dialect], str]] = {
    (Kind.TEXT, Family.TEXT): _text,
    (Kind.TEXT, Family.INTEGER): _as_text,
    (Kind.TEXT, Family.FLOAT): _whole_as_text,
    **{(Kind.TIME, family): _instant for family in (Family.TEXT, Family.INSTANT, Family.LOCAL, Family.DATE)},
    **{
        (kind, family): _exact
        for kind in SIZES
        for family in (Family.TEXT, Family.INTEGER, Family.DECIMAL, Family.FLOAT)
    },
    (Kind.FLAG, Family.BOOLEAN): _itself,
    (Kind.FLAG, Family.INTEGER): _flag,
    (Kind.FLAG, Family.TEXT): _flag,
    **{(Kind.WHOLE, family): _whole for family in (Family.TEXT, Family.INTEGER, Family.DECIMAL, Family.FLOAT)},
    (Kind.IDS, Family.TEXT): _list,
    (Kind.IDS, Family.LIST): _json,
    (Kind.NAMES, Family.TEXT): _text,
    (Kind.NAMES, Family.LIST): _joined,
    (Kind.OBJECTS, Family.TEXT): _list,
    (Kind.OBJECTS, Family.LIST): _json,
    (Kind.OBJECT, Family.TEXT): _object,
    (Kind.OBJECT, Family.OBJECT): _json,
}
