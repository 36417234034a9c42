"""The columns of a columnar copy: how PostgreSQL gives them, and what DuckDB keeps them as."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pyarrow as pa

from regulars.aggregations.aggregation import Aggregation, ValueType
from regulars.aggregations.definitions import REGISTRY
from regulars.core.countries import alpha_3, codes_by_name
from regulars.storage.copy_out import TIMESTAMP


@dataclass(frozen=True, slots=True)
class _Form:
    """A type on its way: PostgreSQL's SQL around a column, the type that COPY's text is read as, DuckDB's SQL."""

    read: pa.DataType
    given: str = "{}"
    kept: str = "{}"
    element: str = ""
    """DuckDB's type of an element of a list."""


_CODES = {code: alpha_3(code) for code in sorted(set(codes_by_name().values()))}


def _texts(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(repr, texts))}]"


_TEXT, _INTEGER = _Form(pa.string()), _Form(pa.int64())
_DATE, _INSTANT = _Form(pa.date32()), _Form(TIMESTAMP)
_UUID = _Form(pa.string(), kept="CAST({} AS UUID)")
# What is larger than any number is not known.
_WHOLE = _Form(pa.string(), kept="TRY_CAST({} AS DECIMAL(38, 0))")
_ALPHA_3 = _Form(pa.string(), kept=f"list_extract({_texts(_CODES.values())}, list_position({_texts(_CODES)}, {{}}))")
# Nothing asked for is as nothing known: an empty list.
_INTEGERS = _Form(
    pa.string(), "translate(CAST({} AS text), '{{}}', '[]')", "coalesce(CAST({} AS BIGINT[]), [])", "BIGINT"
)
_TEXTS = _Form(pa.string(), "CAST(to_json({}) AS text)", """coalesce(from_json({}, '["VARCHAR"]'), [])""", "VARCHAR")


@dataclass(frozen=True, slots=True)
class ReplicaColumn:
    """A column of the copy, from the table of the same name in PostgreSQL."""

    name: str
    table: str
    transfer_type: _Form

    @property
    def copy_expression(self) -> str:
        """PostgreSQL's expression that COPY sends."""
        return self.transfer_type.given.format(f"{self.table}.{self.name}")

    @property
    def duckdb_expression(self) -> str:
        """DuckDB's expression over what was read."""
        return self.transfer_type.kept.format(f'given."{self.name}"')

    @property
    def arrow_type(self) -> pa.DataType:
        """The type that it is read as."""
        return self.transfer_type.read

    @property
    def element_type(self) -> str:
        """DuckDB's type of an element; empty where it is no list."""
        return self.transfer_type.element

    def to_copy_value(self, value: Any) -> Any:
        """A value of the database as COPY would have sent it."""
        match value:
            case list():
                return msgspec.json.encode(value).decode()
            case UUID() | Decimal():
                return str(value)
            case _:
                return value


def _of_members(form: _Form, *names: str) -> list[ReplicaColumn]:
    return [ReplicaColumn(name, "members", form) for name in names]


PROFILE_ID = ReplicaColumn("profile_id", "members", _UUID)
_MEMBERS = (
    PROFILE_ID,
    *_of_members(_INTEGER, "member_id", "birth_date"),
    *_of_members(_TEXT, "optin_channel", "optin_subchannel", "optin_platform", "gender", "country"),
    *_of_members(_TEXT, "sms_status", "email_status", "push_status"),
    *_of_members(_INTEGERS, "subunit_ids", "group_ids", "favorite_stores"),
    *_of_members(_TEXTS, "consents_true", "consents_false", "marketing"),
    *_of_members(_INSTANT, "created_at", "updated_at"),
    *_of_members(_TEXT, "properties"),
)

_FORMS = {
    "bigint": _INTEGER,
    "numeric": _WHOLE,
    "text": _TEXT,
    "date": _DATE,
    "timestamptz": _INSTANT,
    "bigint[]": _INTEGERS,
    "text[]": _TEXTS,
}

NEXT_CHANGE = ReplicaColumn("next_change_at", "profile_aggregations", _INSTANT)
VALUES_VERSION = ReplicaColumn("values_version", "profile_aggregations", _INTEGER)


def _value(of: Aggregation) -> ReplicaColumn:
    form = _ALPHA_3 if of.type is ValueType.COUNTRY_ALPHA_3 else _FORMS[of.type.column_type]
    return ReplicaColumn(of.name, "profile_aggregations", form)


VALUE_COLUMNS = {each.name: _value(each) for each in REGISTRY.stored}
"""The columns that aggregations are kept in, by name."""

ALL_COLUMNS: Mapping[str, ReplicaColumn] = {
    **{each.name: each for each in (*_MEMBERS, NEXT_CHANGE, VALUES_VERSION)},
    **VALUE_COLUMNS,
}
"""Every column that a copy can have, by name."""

INITIAL_COLUMNS = tuple(each for each in _MEMBERS if each.name != "properties")
"""What every copy has: most of it is small, and most requests ask for some of it."""

TIME_DEPENDENT_VALUES = frozenset(each.name for each in REGISTRY.stored if each.time_triggers)
"""The values that change by the clock."""
