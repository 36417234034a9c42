"""What a request costs of the rate limit."""

from regulars.query.query import Logical, Node, Query

_OF_A_NODE = {"and": 1, "or": 3, "not": 1}

METADATA = 1
"""What a request for metadata costs, and one that fails before it runs."""


GEO = 1
"""What each request about places costs."""


def of_filter(node: Node | None) -> int:
    """The cost of a filter: 1 for each `and` and `not`, 3 for each `or`."""
    if not isinstance(node, Logical):
        return 0
    return _OF_A_NODE[node.type] + sum(map(of_filter, node.nodes))


def cost(query: Query) -> int:
    """The cost of a request: its report's, and its filter's."""
    return query.report.cost + of_filter(query.filter)
