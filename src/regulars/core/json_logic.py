"""Validation of JSON Logic conditions (jsonlogic.com), so that evaluation never fails."""

from typing import Any

OPERATORS = frozenset(
    (
        "var", "missing", "missing_some",
        "if", "?:", "and", "or", "!", "!!", "==", "===", "!=", "!==",
        "<", "<=", ">", ">=", "max", "min", "+", "-", "*", "/", "%",
        "map", "filter", "reduce", "all", "none", "some", "merge", "in", "not_in", "cat", "substr", "log",
    )
)  # fmt: skip

MAX_DEPTH = 20
MAX_NODES = 1_000


def check_condition(value: object) -> object:
    """Validates a condition: its operators, size and depth. Raises ValueError."""
    remaining = MAX_NODES
    open_nodes: list[tuple[Any, int]] = [(value, 1)]
    while open_nodes:
        node, depth = open_nodes.pop()
        remaining -= 1
        if remaining < 0:
            raise ValueError(f"must have at most {MAX_NODES} parts")
        if not isinstance(node, dict | list):
            continue
        if depth > MAX_DEPTH:
            raise ValueError(f"must be nested at most {MAX_DEPTH} deep")
        parts = _arguments(node) if isinstance(node, dict) else node
        open_nodes += [(part, depth + 1) for part in parts]
    return value


def _arguments(operation: dict[str, Any]) -> list[Any]:
    if len(operation) != 1:
        raise ValueError('must be JSON Logic: an object holds one operator, such as {">": [{"var": "new"}, 1000]}')
    operator, arguments = next(iter(operation.items()))
    if operator not in OPERATORS:
        raise ValueError(f"must be JSON Logic: there is no operator {operator[:40]!r}")
    return arguments if isinstance(arguments, list) else [arguments]
