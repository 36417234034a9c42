"""The results of queued import batches."""

from regulars.core.field_type import FieldType
from regulars.model.resource import Resource, ResourceField

IMPORT_BATCHES = Resource(
    "batch",
    "import_batches AS r",
    (
        ResourceField("batch_id", FieldType.UUID),
        ResourceField("entity", FieldType.STRING),
        ResourceField("accepted", FieldType.INTEGER),
        ResourceField("unchanged", FieldType.INTEGER),
        ResourceField(
            "rejected", FieldType.LIST, description="Rows by their place from 0, each with what is wrong by path."
        ),
        ResourceField("created_at", FieldType.TIMESTAMP),
    ),
    key="batch_id",
)
