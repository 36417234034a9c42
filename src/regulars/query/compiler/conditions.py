"""SQL conditions and their combination with correct precedence and indentation."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """A boolean SQL expression; one that `is_compound` needs parentheses as an operand."""

    sql: str
    is_compound: bool = False

    @property
    def parenthesized(self) -> str:
        """The expression as an operand of AND and OR."""
        return _in_parentheses(self.sql) if self.is_compound else self.sql


def _in_parentheses(sql: str) -> str:
    return f"(\n{indent(sql)}\n)" if "\n" in sql else f"({sql})"


def combine(operator: str, conditions: Sequence[Condition], separator: str = "\n") -> Condition:
    """Combines conditions by AND or OR."""
    if len(conditions) == 1:
        return conditions[0]
    return Condition(f"{separator}{operator} ".join(each.parenthesized for each in conditions), is_compound=True)


def not_true(condition: Condition) -> Condition:
    """A condition that is true where another is false or null."""
    return Condition(f"{_in_parentheses(condition.sql)} IS NOT TRUE")


def indent(sql: str) -> str:
    """Indents SQL by one level."""
    return "\n".join(f"    {line}" if line else line for line in sql.splitlines())
