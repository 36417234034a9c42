"""The dialect of Spark."""


class SparkDialect:
    """The dialect of Spark; keys of objects are paths of variants."""

    def equals_any(self, value: str, values: str) -> str:
        return f"array_contains({values}, {value})"

    def contains(self, values: str, value: str) -> str:
        return f"array_contains({values}, {value})"

    def overlaps(self, values: str, others: str) -> str:
        return f"arrays_overlap({values}, {others})"

    def is_empty(self, values: str) -> str:
        return f"coalesce(size({values}), 0) = 0"

    def element_at(self, values: str, place: str) -> str:
        return f"element_at({values}, CAST({place} AS INT))"

    def unnest(self, values: str) -> str:
        return f"explode_outer({values})"

    def unnest_concat(self, values: str, others: str) -> str:
        return f"explode(concat({values}, {others}))"

    def object_keys(self, document: str) -> str:
        return f"explode(json_object_keys({document}))"

    def object_value(self, document: str, p: str) -> str:
        return f"variant_get(parse_json({document}), {p}, 'variant')"

    def object_value_is_null(self, document: str, p: str) -> str:
        return f"try_variant_get(parse_json({document}), {p}, 'string') IS NULL"

    def string_value(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'STRING'", "string")

    def number_value(self, document: str, p: str) -> str:
        is_number = "RLIKE '^(BIGINT|DECIMAL|DOUBLE)'"
        return self._of_type(document, p, is_number, "decimal(38, 15)")

    def boolean_value(self, document: str, p: str) -> str:
        return self._of_type(document, p, "= 'BOOLEAN'", "boolean")

    def _of_type(self, document: str, p: str, test: str, type_: str) -> str:
        found = f"try_variant_get(parse_json({document}), {p}, '{type_}')"
        return f"CASE WHEN schema_of_variant({self.object_value(document, p)}) {test} THEN {found} END"

    def key_parameter(self, name: str) -> str:
        return f'$["{name}"]' if "'" in name else f"$['{name}']"
