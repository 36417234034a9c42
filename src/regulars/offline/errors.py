"""Why values are not computed: what is wrong with which column of which table."""


class InvalidInputError(ValueError):
    """What was given can't be computed from; the message names the table, the column, and what to do."""


class InputNotFoundError(InvalidInputError):
    """A file, a folder or a column that is not there, or a name that nothing has: no row was read."""


class MissingDependencyError(RuntimeError):
    """An engine that is not installed; the message says how to."""
