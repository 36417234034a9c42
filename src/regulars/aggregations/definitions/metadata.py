"""Values that belong to the row of values itself, or that clients still read."""

from regulars.aggregations.aggregation import Aggregation, ValueType

AGGREGATIONS = (
    Aggregation("profile_id", ValueType.PROFILE_ID, description="The profile whose values these are.", sql=""),
    Aggregation(
        "total_referred", ValueType.ALWAYS_NULL, description="Always null; kept for clients that read it.", sql=""
    ),
    Aggregation(
        "top_historic_status", ValueType.ALWAYS_NULL, description="Always null; kept for clients that read it.", sql=""
    ),
    Aggregation("calculated_at", ValueType.AS_OF, description="The instant that these values are true for.", sql=""),
)
