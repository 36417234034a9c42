"""The dialect of DuckDB."""


class DuckdbDialect:
    """The dialect of DuckDB; keys of objects are JSON pointers."""

    def equals_any(self, value: str, values: str) -> str:
        return f"list_contains({values}, {value})"

    def contains(self, values: str, value: str) -> str:
        return f"list_contains({values}, {value})"

    def overlaps(self, values: str, others: str) -> str:
        return f"list_has_any({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(len({values}), 0) = 0"

    def element_at(self, values: str, index: str) -> str:
        return f"list_extract({values}, {index})"

    def unnest(self, values: str) -> str:
        return f"unnest(CASE WHEN len({values}) > 0 THEN {values} ELSE [NULL] END)"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"unnest(list_concat({values}, {others}))"

    def object_keys(self, document: str) -> str:
        return f"unnest(json_keys({document}))"

    def object_value(self, document: str, p: str) -> str:
        return f"json_extract({document}, {p})"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"json_extract_string({document}, {p}) IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return f"CASE WHEN json_type({document}, {p}) = 'VARCHAR' THEN json_extract_string({document}, {p}) END"

    def number_value(self, document: str, p: str) -> str:
        number = f"TRY_CAST(json_extract_string({document}, {p}) AS DECIMAL(38, 15))"
        return f"CASE WHEN json_type({document}, {p}) IN ('BIGINT', 'UBIGINT', 'DOUBLE') THEN {number} END"

    def boolean_value(self, document: str, p: str) -> str:
        boolean = f"json_extract_string({document}, {p}) = 'true'"
        return f"CASE WHEN json_type({document}, {p}) = 'BOOLEAN' THEN {boolean} END"

    def key_parameter(self, name: str) -> str:
        # A JSON pointer: a plain key that begins with $ or / would be taken for a path.
        return "/" + name.replace("~", "~0").replace("/", "~1")
