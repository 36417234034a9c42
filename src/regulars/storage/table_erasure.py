"""The erasure rules of one table."""

from collections.abc import Mapping
from dataclasses import dataclass, field

RetentionReasons = Mapping[str, str]
"""Reasons to retain columns, by their names separated by blanks."""


@dataclass(frozen=True, slots=True)
class TableErasure:
    """The erasure rules of a table and its columns.

    `condition` is the SQL condition for the rows of profiles $2 of community $1. A purge deletes these rows, by the
    module `deleted_by` if it takes more than a DELETE. Depersonalising deletes them as well, unless columns are in
    `blanked_columns`, each with an SQL expression ("" if a module does it), or `retained`, each with a reason.
    `retained_after_purge` are columns that are retained even after a purge. `impersonal_columns` contain no personal
    data and no reference to a profile. `default_reason` is the reason to retain all other columns, for a table whose
    columns are declared elsewhere.
    """

    name: str
    condition: str = ""
    deleted_by: str = ""
    erased_columns: str = ""
    blanked_columns: Mapping[str, str] = field(default_factory=dict)
    retained: RetentionReasons = field(default_factory=dict)
    retained_after_purge: RetentionReasons = field(default_factory=dict)
    impersonal_columns: str = "community_id"
    default_reason: str = ""

    @property
    def keeps_rows(self) -> bool:
        """Whether rows of a depersonalised profile are retained."""
        return bool(self.blanked_columns or self.retained or self.retained_after_purge or self.default_reason)

    def columns(self) -> list[str]:
        """Returns the names of all declared columns."""
        reasons = (*self.retained, *self.retained_after_purge)
        return [
            *self.impersonal_columns.split(),
            *self.erased_columns.split(),
            *self.blanked_columns,
            *" ".join(reasons).split(),
        ]

    def retention_reason(self, column: str, *, purge: bool) -> str:
        """Returns why a column is retained after a purge, or else after depersonalising; "" if it must not be."""
        for names, reason in {**self.retained_after_purge, **({} if purge else self.retained)}.items():
            if column in names.split():
                return reason
        return "" if purge or column in self.columns() else self.default_reason
