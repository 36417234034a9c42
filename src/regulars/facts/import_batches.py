"""What queued batches came to, kept for whoever asks."""

from regulars.facts.resource import Field, Kind, Resource

IMPORT_BATCHES = Resource(
    "batch",
    "import_batches AS r",
    (
        Field("batch_id", Kind.UUID),
        Field("entity", Kind.STRING),
        Field("loaded", Kind.INTEGER),
        Field("unchanged", Kind.INTEGER),
        Field("rejected", Kind.LIST, meaning="Rows by their place from 0, each with what is wrong by path."),
        Field("created_at", Kind.TIME),
    ),
    key="batch_id",
)
