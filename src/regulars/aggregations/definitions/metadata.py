"""Values that belong to the row of values itself, or that clients still read."""

from regulars.aggregations.aggregation import Aggregation
from regulars.core.field_type import FieldType

AGGREGATIONS = (
    Aggregation("profile_id", FieldType.UUID, description="The profile whose values these are.", sql=""),
    Aggregation(
        "total_referred", FieldType.ALWAYS_NULL, description="Always null; exists for clients that read it.", sql=""
    ),
    Aggregation(
        "top_historic_status",
        FieldType.ALWAYS_NULL,
        description="Always null; exists for clients that read it.",
        sql="",
    ),
    Aggregation("calculated_at", FieldType.AS_OF, description="The instant that these values are true for.", sql=""),
)
