"""Components of the OpenAPI document: schemas with a title, which are written once and referred to."""

from collections.abc import Mapping
from typing import Any

from regulars.web.endpoint import JsonSchema

_BY_NAME = ("properties", "patternProperties")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_SINGLE = ("items", "additionalProperties", "not")


def reference(name: str) -> JsonSchema:
    """A reference to a component."""
    return {"$ref": f"#/components/schemas/{name}"}


class SchemaComponents:
    """Collects the components of a document. `schemas` are those collected, by name."""

    def __init__(self) -> None:
        self.schemas: dict[str, JsonSchema] = {}

    def extract(self, schema: Mapping[str, Any]) -> JsonSchema:
        """Returns the schema with a reference in place of each schema that has a title.

        Raises ValueError if two different schemas have the same title.
        """
        found = {key: self._extract_part(key, value) for key, value in schema.items()}
        name = found.get("title")
        if name is None:
            return found
        if self.schemas.setdefault(name, found) != found:
            raise ValueError(f"two different schemas have the title {name}")
        return reference(name)

    def _extract_part(self, key: str, value: Any) -> Any:
        if key in _BY_NAME:
            return {name: self.extract(each) for name, each in value.items()}
        if key in _LISTS:
            return [self.extract(each) for each in value]
        # A Boolean is a schema as well.
        return self.extract(value) if key in _SINGLE and isinstance(value, Mapping) else value
