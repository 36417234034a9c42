"""Conditions in SQL, put together such that they read well and mean what they mean."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """SQL that is true, false or null; in parentheses before it stands within another where it `is_joined`."""

    sql: str
    is_compound: bool = False

    @property
    def parenthesized(self) -> str:
        """It such that it may stand beside AND and OR."""
        return _enclosed(self.sql) if self.is_compound else self.sql


def _enclosed(sql: str) -> str:
    return f"(\n{indent(sql)}\n)" if "\n" in sql else f"({sql})"


def combine(word: str, conditions: Sequence[Condition], separator: str = "\n") -> Condition:
    """Conditions joined by AND or OR."""
    if len(conditions) == 1:
        return conditions[0]
    return Condition(f"{separator}{word} ".join(each.parenthesized for each in conditions), is_compound=True)


def not_true(condition: Condition) -> Condition:
    """What holds where a condition is false or null."""
    return Condition(f"{_enclosed(condition.sql)} IS NOT TRUE")


def indent(sql: str) -> str:
    """Lines of SQL one step to the right."""
    return "\n".join(f"    {line}" if line else line for line in sql.splitlines())
