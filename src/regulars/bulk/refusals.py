"""Why values are not computed: what is wrong with which column of which table."""


class UnfitError(ValueError):
    """What was given can't be computed from; the message names the table, the column, and what to do."""


class NotThereError(UnfitError):
    """A file, a folder or a column that is not there, or a name that nothing has: no row was read."""


class MissingExtraError(RuntimeError):
    """An engine that is not installed; the message says how to."""
