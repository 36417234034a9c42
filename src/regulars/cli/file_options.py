"""The options of all commands that read files of rows: how the files are written."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from regulars.cli.options import UsageError
from regulars.file_dialects.options import DialectError, DialectOptions, parse_columns, parse_options, read_mapping


@Parameter(name="*")
@dataclass(frozen=True)
class InputFileOptions:
    """How files are written. What is not stated is detected where the file leaves no doubt."""

    delimiter: Annotated[
        str | None, Parameter(help="Separator of CSV: one character, or tab. Default: detected among , ; tab and |.")
    ] = None
    decimal: Annotated[
        str | None,
        Parameter(
            help="Decimal mark, , or . (comma or point); the other one, blanks and apostrophes separate thousands. "
            "Default: detected."
        ),
    ] = None
    encoding: Annotated[
        str | None,
        Parameter(help="Encoding of CSV, such as cp1252. Default: detected among UTF-8, UTF-16 and Windows-1252."),
    ] = None
    date_format: Annotated[
        str | None,
        Parameter(help="Format of times in text, such as '%m/%d/%Y %H:%M'. Default: ISO 8601, see docs/files.md."),
    ] = None
    timezone: Annotated[
        str | None,
        Parameter(
            help="Time zone of times without an offset, where neither the row nor its location has one. "
            "Default: the community's; of `compute`: UTC."
        ),
    ] = None
    sheet: Annotated[str | None, Parameter(help="Sheet of a spreadsheet. Default: the first one.")] = None
    column: Annotated[
        tuple[str, ...],
        Parameter(
            name=("--column", "--map"),
            negative="",
            help="Name of a column in the file: profile=customer_id, or with its table: profiles.external_id=id.",
        ),
    ] = ()
    mapping: Annotated[
        Path | None, Parameter(help="TOML file with these options, and the names of columns in [columns].")
    ] = None

    def parse(self) -> DialectOptions:
        """The options of the mapping file, and those of the command line instead of them. Raises UsageError."""
        try:
            stated = {} if self.mapping is None else read_mapping(self.mapping)
            columns = {**stated.pop("columns", {}), **parse_columns(self.column)}
            names = ("delimiter", "decimal", "encoding", "date_format", "timezone", "sheet")
            texts = {name: getattr(self, name) for name in names}
            stated |= {name: text for name, text in texts.items() if text is not None}
            return parse_options(**stated, columns=columns)
        except DialectError as error:
            raise to_usage_error(error) from None


def to_usage_error(error: DialectError) -> UsageError:
    """The error of an option of the command line."""
    return UsageError(f"--{error.option.replace('_', '-')} {error.reason.rstrip('.')}.")
