"""The dialect of PostgreSQL."""


class PostgresqlDialect:
    """The dialect of PostgreSQL; objects are jsonb."""

    def equals_any(self, value: str, values: str) -> str:
        return f"{value} = ANY ({values})"

    def contains(self, values: str, value: str) -> str:
        return f"{value} = ANY ({values})"

    def overlaps(self, values: str, others: str) -> str:
        return f"{values} && {others}"

    def is_empty(self, values: str) -> str:
        return f"coalesce(cardinality({values}), 0) = 0"

    def element_at(self, values: str, index: str) -> str:
        return f"({values})[{index}]"

    def unnest(self, values: str) -> str:
        return f"unnest(CASE WHEN cardinality({values}) > 0 THEN {values} ELSE array_append({values}, NULL) END)"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"unnest({values} || {others})"

    def object_keys(self, document: str) -> str:
        return f"jsonb_object_keys({document})"

    def object_value(self, document: str, p: str) -> str:
        return f"{document} -> {p}"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"({document} ->> {p}) IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'string' THEN {document} ->> {p} END"

    def number_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'number' THEN CAST({document} ->> {p} AS NUMERIC) END"

    def boolean_value(self, document: str, p: str) -> str:
        return f"CASE WHEN jsonb_typeof({document} -> {p}) = 'boolean' THEN CAST({document} ->> {p} AS BOOLEAN) END"

    def key_parameter(self, name: str) -> str:
        return name
