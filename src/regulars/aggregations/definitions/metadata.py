"""Key and time of a row of values, and obsolete fields that clients still read."""

from regulars.aggregations.aggregation import Aggregation
from regulars.core.field_type import FieldType

AGGREGATIONS = (
    Aggregation("profile_id", FieldType.UUID, description="The profile of the values.", sql=""),
    Aggregation(
        "total_referred", FieldType.ALWAYS_NULL, description="Always null; exists for clients that read it.", sql=""
    ),
    Aggregation(
        "top_historic_status",
        FieldType.ALWAYS_NULL,
        description="Always null; exists for clients that read it.",
        sql="",
    ),
    Aggregation("calculated_at", FieldType.AS_OF, description="The instant that the values were computed for.", sql=""),
)
