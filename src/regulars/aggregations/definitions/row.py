"""Values that belong to the row of values itself, or that clients still read."""

from regulars.aggregations.aggregation import Aggregation, Type

AGGREGATIONS = (
    Aggregation("profile_id", Type.PROFILE_ID, meaning="The profile whose values these are.", sql=""),
    Aggregation("total_referred", Type.NOTHING, meaning="Always null; kept for clients that read it.", sql=""),
    Aggregation("top_historic_status", Type.NOTHING, meaning="Always null; kept for clients that read it.", sql=""),
    Aggregation("calculated_at", Type.AS_OF, meaning="The instant that these values are true for.", sql=""),
)
