"""What a request costs of the rate limit."""

from regulars.query.query import FilterNode, LogicalNode, ReportQuery

_OF_A_NODE = {"and": 1, "or": 3, "not": 1}

METADATA_COST = 1
"""What a request for metadata costs, and one that fails before it runs."""


GEO_COST = 1
"""What each request about places costs."""

LIST_VALUES_PER_UNIT = 1_000
"""Values of lists that cost 1; the first that many are free."""


def filter_cost(node: FilterNode | None) -> int:
    """The cost of a filter: 1 for each `and` and `not`, 3 for each `or`, and 1 for each 1,000 values of its lists, or
    part of them, beyond the first 1,000.
    """
    return _of_nodes(node) + max(0, -(-_values(node) // LIST_VALUES_PER_UNIT) - 1)


def _of_nodes(node: FilterNode | None) -> int:
    if not isinstance(node, LogicalNode):
        return 0
    return _OF_A_NODE[node.type] + sum(map(_of_nodes, node.nodes))


def _values(node: FilterNode | None) -> int:
    """The number of values in all lists of a filter."""
    if isinstance(node, LogicalNode):
        return sum(map(_values, node.nodes))
    return len(node.value) if node is not None and isinstance(node.value, tuple) else 0


def query_cost(query: ReportQuery) -> int:
    """The cost of a request: its report's, and its filter's."""
    return query.report.cost + filter_cost(query.filter)
