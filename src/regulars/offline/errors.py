"""Errors of offline computations."""


class InvalidInputError(ValueError):
    """Invalid input; the message names the table, the column and a remedy."""


class InputNotFoundError(InvalidInputError):
    """A missing file, folder or column, or an unknown name; no row was read."""
