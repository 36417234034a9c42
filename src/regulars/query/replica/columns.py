"""The columns of a replica: how PostgreSQL exports them, and how DuckDB stores them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa

from regulars.aggregations.aggregation import Aggregation
from regulars.aggregations.definitions import REGISTRY
from regulars.core.countries import alpha_3, codes_by_name
from regulars.core.field_type import FieldType
from regulars.storage.copy_out import TIMESTAMP


@dataclass(frozen=True, slots=True)
class _TransferType:
    """How a type is transferred: the SQL of PostgreSQL, the Arrow type of the text of COPY, the SQL of DuckDB."""

    arrow_type: pa.DataType
    copy_sql: str = "{}"
    duckdb_sql: str = "{}"
    element_type: str = ""
    """DuckDB's type of the elements of a list."""


ALPHA_3_CODES = {code: alpha_3(code) for code in sorted(set(codes_by_name().values()))}
"""The alpha-3 codes of countries by their alpha-2 codes."""


def _string_list(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(repr, texts))}]"


_TEXT, _INTEGER = _TransferType(pa.string()), _TransferType(pa.int64())
_DATE, _INSTANT = _TransferType(pa.date32()), _TransferType(TIMESTAMP)
_UUID = _TransferType(pa.string(), duckdb_sql="CAST({} AS UUID)")
# Values that overflow become null.
_BIG_INTEGER = _TransferType(pa.string(), duckdb_sql="TRY_CAST({} AS DECIMAL(38, 0))")
_ALPHA_3 = _TransferType(
    pa.string(),
    duckdb_sql=f"list_extract({_string_list(ALPHA_3_CODES.values())}, list_position({_string_list(ALPHA_3_CODES)}, {{}}))",
)
# Null is stored as an empty list.
_INTEGERS = _TransferType(
    pa.string(), "translate(CAST({} AS text), '{{}}', '[]')", "coalesce(CAST({} AS BIGINT[]), [])", "BIGINT"
)
_TEXTS = _TransferType(
    pa.string(), "CAST(to_json({}) AS text)", """coalesce(from_json({}, '["VARCHAR"]'), [])""", "VARCHAR"
)


@dataclass(frozen=True, slots=True)
class ReplicaColumn:
    """A column of the replica, read from a table of PostgreSQL."""

    name: str
    table: str
    transfer_type: _TransferType

    @property
    def copy_expression(self) -> str:
        """The expression that COPY exports."""
        return self.transfer_type.copy_sql.format(f"{self.table}.{self.name}")

    @property
    def duckdb_sql(self) -> str:
        """DuckDB's conversion of an imported value, with {} in its place."""
        return self.transfer_type.duckdb_sql

    @property
    def duckdb_expression(self) -> str:
        """DuckDB's expression over the imported column."""
        return self.transfer_type.duckdb_sql.format(f'imported."{self.name}"')

    @property
    def arrow_type(self) -> pa.DataType:
        """The Arrow type of the imported column."""
        return self.transfer_type.arrow_type

    @property
    def element_type(self) -> str:
        """DuckDB's type of the elements of a list; empty for other columns."""
        return self.transfer_type.element_type

    def to_copy_value(self, value: Any) -> Any:
        """Converts a value of asyncpg to what COPY would have exported."""
        match value:
            case list():
                return msgspec.json.encode(value).decode()
            case UUID() | Decimal():
                return str(value)
            case _:
                return value


def _member_columns(type_: _TransferType, *names: str) -> list[ReplicaColumn]:
    return [ReplicaColumn(name, "members", type_) for name in names]


PROFILE_ID = ReplicaColumn("profile_id", "members", _UUID)
MEMBER_COLUMNS = (
    PROFILE_ID,
    *_member_columns(_INTEGER, "member_id", "birth_date"),
    *_member_columns(_TEXT, "optin_channel", "optin_subchannel", "optin_platform", "gender", "country"),
    *_member_columns(_TEXT, "sms_status", "email_status", "push_status"),
    *_member_columns(_INTEGERS, "subunit_ids", "group_ids", "favorite_stores"),
    *_member_columns(_TEXTS, "consents_true", "consents_false", "marketing"),
    *_member_columns(_INSTANT, "created_at", "updated_at"),
    *_member_columns(_TEXT, "properties"),
)
"""The columns of the table of members."""

_TRANSFER_TYPES = {
    "bigint": _INTEGER,
    "numeric": _BIG_INTEGER,
    "text": _TEXT,
    "date": _DATE,
    "timestamptz": _INSTANT,
    "bigint[]": _INTEGERS,
    "text[]": _TEXTS,
}

NEXT_CHANGE = ReplicaColumn("next_change_at", "profile_aggregations", _INSTANT)
VALUES_VERSION = ReplicaColumn("values_version", "profile_aggregations", _INTEGER)


def _value_column(of: Aggregation) -> ReplicaColumn:
    type_ = _ALPHA_3 if of.type is FieldType.COUNTRY_ALPHA_3 else _TRANSFER_TYPES[of.type.column_type]
    return ReplicaColumn(of.name, "profile_aggregations", type_)


VALUE_COLUMNS = {each.name: _value_column(each) for each in REGISTRY.stored}
"""The columns of profile aggregations, by name."""

ALL_COLUMNS: Mapping[str, ReplicaColumn] = {
    **{each.name: each for each in (*MEMBER_COLUMNS, NEXT_CHANGE, VALUES_VERSION)},
    **VALUE_COLUMNS,
}
"""Every column that a replica can have, by name."""

INITIAL_COLUMNS = tuple(each for each in MEMBER_COLUMNS if each.name != "properties")
"""The columns of every replica: most are small, and most queries need some of them."""

TIME_DEPENDENT_VALUES = frozenset(each.name for each in REGISTRY.stored if each.time_triggers)
"""The aggregations that change by the clock."""
