"""The types of fields: one vocabulary for resources, aggregations, reports and input files."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, eq=False)
class _Traits:
    """What each layer needs to know of a type; empty where a layer does not use the type."""

    json_type: str
    report_name: str = ""
    aggregation_name: str = ""
    column_type: str = ""
    input_format: str = ""


class FieldType(Enum):
    """The type of a field. Layers that map types to converters, operations or SQL use it as the key."""

    # Members are singletons that are looked up for every value: hashing by identity is faster than by name.
    __hash__ = object.__hash__

    INTEGER = _Traits("integer", "integer", "integer", "bigint", "an integer")
    NUMBER = _Traits("number", "number")
    MONEY = _Traits(
        "number", "money", "decimal", "bigint", "a decimal with at most 6 decimal places, below 10^12 in absolute value"
    )
    """Stored in minor units of the community's currency, a decimal in JSON."""
    PERCENT = _Traits("number", "percentage", "percentage", "numeric")
    """Stored in hundredths of a percent, a decimal with two places in JSON; unbounded, because prices may be tiny."""
    RATE = _Traits("number", input_format="a decimal above 0 and below 10^7 with at most 12 decimal places")
    QUANTITY = _Traits("number", input_format="a decimal with at most 6 decimal places, below 10^7 in absolute value")
    STRING = _Traits("string", "string", "string", "text", "a string or an integer")
    ENUM = _Traits("string", aggregation_name="code", column_type="text")
    COUNTRY_ALPHA_3 = _Traits("string", aggregation_name="ISO 3166-1 alpha-3", column_type="text")
    """Stored as alpha-2, alpha-3 in JSON."""
    BOOLEAN = _Traits("boolean", "boolean", input_format="true or false (also yes or no, 1 or 0)")
    FLAG_OR_COUNT = _Traits("boolean or integer")
    """True, false or a number."""
    DATE = _Traits("string", "date", "date", "date")
    TIMESTAMP = _Traits(
        "date-time",
        "time",
        "datetime UTC",
        "timestamptz",
        "a time of the years 1900 to 2999 in ISO 8601, such as 2026-10-01 09:30 (local time) or "
        "2026-10-01T09:30:00+02:00, or a timestamp column",
    )
    UUID = _Traits("uuid", aggregation_name="uuid")
    LOCATION = _Traits("object", aggregation_name="location", column_type="bigint")
    """Stored as the id of a location, the whole location in JSON."""
    LIST = _Traits("array")
    """Any array."""
    INTEGER_LIST = _Traits("array", "array of integers", input_format="a list of integers, or its JSON")
    LOCATION_LIST = _Traits("array", aggregation_name="list of location ids", column_type="bigint[]")
    STRING_LIST = _Traits(
        "array",
        "array of strings",
        "list of strings",
        "text[]",
        "a list of strings, or one string separated by commas, semicolons or bars",
    )
    OBJECT_LIST = _Traits("array", input_format="a list of objects, or its JSON")
    LINE_ITEMS = _Traits(json_type="array", input_format="a list of objects, or its JSON")
    """The line items of a transaction."""
    FLAGS = _Traits("object", "object of booleans")
    """True or false by name, without the names that are neither. Its keys are addressed with a dot."""
    OBJECT = _Traits("object", "object", input_format="an object, or its JSON")
    """Any keys and values. Its keys are addressed with a dot."""
    AS_OF = _Traits("date-time", aggregation_name="datetime UTC, of these values")
    """The instant for which a row of aggregations is valid."""
    ALWAYS_NULL = _Traits("string", aggregation_name="null")
    """Always null, for clients that expect the field."""

    @property
    def json_type(self) -> str:
        """The type in JSON, as OpenAPI describes it."""
        return self.value.json_type

    @property
    def report_name(self) -> str:
        """The name in the metadata of reports; empty where reports do not support the type."""
        return self.value.report_name

    @property
    def aggregation_name(self) -> str:
        """The name in the metadata of profile aggregations."""
        return self.value.aggregation_name

    @property
    def column_type(self) -> str:
        """The type of the column of a stored aggregation; empty where it is not stored."""
        return self.value.column_type

    @property
    def input_format(self) -> str:
        """What a column of an input file contains; empty where files do not support the type."""
        return self.value.input_format
