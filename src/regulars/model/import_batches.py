"""What queued batches came to, kept for whoever asks."""

from regulars.model.resource import JsonType, Resource, ResourceField

IMPORT_BATCHES = Resource(
    "batch",
    "import_batches AS r",
    (
        ResourceField("batch_id", JsonType.UUID),
        ResourceField("entity", JsonType.STRING),
        ResourceField("accepted", JsonType.INTEGER),
        ResourceField("unchanged", JsonType.INTEGER),
        ResourceField(
            "rejected", JsonType.LIST, description="Rows by their place from 0, each with what is wrong by path."
        ),
        ResourceField("created_at", JsonType.TIMESTAMP),
    ),
    key="batch_id",
)
