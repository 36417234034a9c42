"""Errors of offline computations."""


class InvalidInputError(ValueError):
    """Invalid input; the message names the table, the column and a remedy."""


class InputNotFoundError(InvalidInputError):
    """A missing file, folder or column, or an unknown name; no row was read."""


UNEQUAL_LINES = "each line must have as many fields as the header, with the same separator and closed quotes"
"""Why an engine rejects a CSV file as a whole."""
