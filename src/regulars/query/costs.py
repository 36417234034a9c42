"""The cost of requests against the rate limit."""

from regulars.query.parser.filters import count_values
from regulars.query.query import FilterNode, LogicalNode, ReportQuery, SegmentReference

_NODE_COSTS = {"and": 1, "or": 3, "not": 1}

METADATA_COST = 1
"""The cost of a metadata request, and of a request that fails before it runs."""


GEO_COST = 1
"""The cost of each geo request."""

EXPORT_FACTOR = 10
"""The cost of an export, as a multiple of the cost of its query."""

LIST_VALUES_PER_UNIT = 1_000
"""Array values of a filter per unit of cost; the first that many are free."""


def filter_cost(node: FilterNode | None) -> int:
    """The cost of a filter: 1 for each `and` and `not`, 3 for each `or`, and 1 for each started 1,000 values in its
    arrays beyond the first 1,000. A segment costs as much as its own filter.
    """
    return _node_cost(node) + max(0, -(-count_values(node) // LIST_VALUES_PER_UNIT) - 1)


def _node_cost(node: FilterNode | None) -> int:
    if isinstance(node, SegmentReference):
        return max(map(_node_cost, node.filters.values()))
    if not isinstance(node, LogicalNode):
        return 0
    return _NODE_COSTS[node.type] + sum(map(_node_cost, node.nodes))


def query_cost(query: ReportQuery) -> int:
    """The cost of a report request: that of the report and that of the filter."""
    return query.report.cost + filter_cost(query.filter)


def export_cost(query: ReportQuery) -> int:
    """The cost of a request for an export of a query."""
    return EXPORT_FACTOR * query_cost(query)
