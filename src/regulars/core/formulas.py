"""Strings that a spreadsheet would evaluate as a formula when it opens a CSV file."""

import re

FORMULA_PREFIX = r"^[=+\-@\t\r]"
"""The beginnings of such strings, as a regular expression that Arrow understands too."""

_is_formula = re.compile(FORMULA_PREFIX).match


def neutralize(text: str) -> str:
    """A string as a cell of CSV: one that a spreadsheet would take for a formula gets a leading apostrophe."""
    return f"'{text}" if _is_formula(text) else text
