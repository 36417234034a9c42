"""Lists that clients choose from: tags and statuses of profiles, countries, and the currency of the community."""

import json
from collections.abc import Mapping
from typing import Any

import pycountry

from regulars.core.field_type import FieldType
from regulars.model.resource import Resource, ResourceField


def _labels(name: str, column: str) -> Resource:
    """The distinct labels in a list of profiles, whose elements are texts, or objects with a handle."""
    return Resource(
        name,
        f"""(
        SELECT owner.community_id, label.handle, max(label.name) AS name, count(*) AS profiles_count
        FROM profiles AS owner
        CROSS JOIN LATERAL jsonb_array_elements(owner.{column}) AS one
        CROSS JOIN LATERAL (
            SELECT CASE jsonb_typeof(one) WHEN 'string' THEN one #>> '{{}}' ELSE one ->> 'handle' END AS handle,
                   one ->> 'name' AS name
        ) AS label
        WHERE owner.deleted_at IS NULL AND label.handle IS NOT NULL
        GROUP BY owner.community_id, label.handle
    ) AS r""",
        (
            ResourceField("handle", FieldType.STRING),
            ResourceField("name", FieldType.STRING, description="Of profiles that have an object with a name."),
            ResourceField("profiles_count", FieldType.INTEGER, description="How many profiles have it."),
        ),
        key="handle",
    )


TAGS = _labels("tag", "tags")
STATUSES = _labels("status", "statuses")


def _constant(rows: list[Mapping[str, Any]]) -> str:
    """A constant list as a literal of SQL."""
    text = json.dumps(rows, ensure_ascii=False).replace("'", "''")
    return f"'{text}'"


COUNTRIES = Resource(
    "country",
    f"""(
        SELECT home.id AS community_id, listed.*
        FROM communities AS home
        CROSS JOIN json_to_recordset({
        _constant(
            [
                {
                    "id": int(each.numeric),
                    "name": getattr(each, "common_name", each.name),
                    "iso_2": each.alpha_2,
                    "iso_3": each.alpha_3,
                    "iso_numeric": each.numeric,
                }
                for each in pycountry.countries
            ]
        )
    }) AS listed (id int, name text, iso_2 text, iso_3 text, iso_numeric text)
    ) AS r""",
    (
        ResourceField("id", FieldType.INTEGER, description="The number of ISO 3166-1."),
        ResourceField("name", FieldType.STRING, description="In English."),
        ResourceField("iso_2", FieldType.STRING),
        ResourceField("iso_3", FieldType.STRING),
        ResourceField("iso_numeric", FieldType.STRING),
    ),
)
"""The countries of ISO 3166-1."""

CURRENCIES = Resource(
    "currency",
    f"""(
        SELECT home.id AS community_id, home.created_at, home.minor_digits, listed.*
        FROM communities AS home
        JOIN json_to_recordset({
        _constant([{"id": int(each.numeric), "code": each.alpha_3, "name": each.name} for each in pycountry.currencies])
    }) AS listed (id int, code text, name text) ON listed.code = home.currency
    ) AS r""",
    (
        ResourceField("id", FieldType.INTEGER, description="The number of ISO 4217."),
        ResourceField("from", FieldType.STRING, "r.code", description="The code of ISO 4217."),
        ResourceField("to", FieldType.STRING, "r.code", description="The currency of the values."),
        ResourceField("rate", FieldType.NUMBER, "1::numeric", description="How many of `to` one of `from` is."),
        ResourceField("name", FieldType.STRING),
        ResourceField("minor_digits", FieldType.INTEGER, description="The decimals of its amounts."),
        ResourceField("is_system", FieldType.BOOLEAN, "true::boolean"),
        ResourceField("created_at", FieldType.TIMESTAMP),
        ResourceField("updated_at", FieldType.TIMESTAMP, "r.created_at"),
    ),
)
"""The currency of the community. Transactions in others bring their rates themselves."""
