"""What a caller states about how files are written; what is not stated is detected."""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from regulars.core import timestamps
from regulars.core.number_forms import FORMS_BY_MARK
from regulars.core.time_forms import forms_of
from regulars.file_dialects.encodings import parse_encoding

_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|"}
_MARKS = {"comma": ",", "point": "."}


class DialectError(ValueError):
    """An option is invalid; the message says what is allowed."""

    def __init__(self, option: str, reason: str) -> None:
        self.option = option
        self.reason = reason
        super().__init__(f"{option} {reason}")


@dataclass(frozen=True)
class DialectOptions:
    """How the caller says that files are written; None is detected, or the default.

    `columns` are names in the file by our name, which may begin with the table: `profile`, or `profiles.external_id`.
    `timezone` is that of times without an offset, where neither the row nor its location has one.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    date_format: str | None = None
    timezone: str | None = None
    sheet: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)

    def columns_of(self, table: str) -> dict[str, str]:
        """The names in the file by our name, of one table: those without a table, and its own."""
        names = {ours: theirs for ours, theirs in self.columns.items() if "." not in ours}
        prefix = f"{table}."
        return names | {
            ours.removeprefix(prefix): theirs for ours, theirs in self.columns.items() if ours.startswith(prefix)
        }


DETECT = DialectOptions()
"""Nothing is stated."""


def parse_options(**texts: Any) -> DialectOptions:
    """The options as a caller writes them. Raises DialectError."""
    options = DialectOptions(**{name: value for name, value in texts.items() if value not in (None, "")})
    delimiter, decimal = options.delimiter, options.decimal
    if delimiter is not None:
        delimiter = _DELIMITERS.get(delimiter.lower(), delimiter)
        if len(delimiter) != 1 or delimiter.isalnum() or delimiter in "\"'\r\n\\" or not delimiter.isascii():
            raise DialectError("delimiter", f"must be one character, such as , ; | or tab, not {delimiter[:50]!r}")
    if decimal is not None:
        decimal = _MARKS.get(decimal.lower(), decimal)
        if decimal not in FORMS_BY_MARK:
            raise DialectError("decimal", f"must be , or . (comma or point), not {decimal[:50]!r}")
    checks: dict[str, Callable[[str], object]] = {
        "encoding": parse_encoding,
        "date_format": forms_of,
        "timezone": timestamps.zone_info,
    }
    for name, check in checks.items():
        if (text := getattr(options, name)) is not None:
            try:
                check(text)
            except ValueError as error:
                found = f", not {text[:50]!r}" if name == "timezone" else ""
                raise DialectError(name, f"{error}{found}") from None
    encoding = None if options.encoding is None else parse_encoding(options.encoding)
    return replace(options, delimiter=delimiter, decimal=decimal, encoding=encoding)


def parse_columns(mappings: tuple[str, ...]) -> dict[str, str]:
    """Names in the file by our name, from texts such as `profile=Customer ID`. Raises DialectError."""
    columns: dict[str, str] = {}
    for each in mappings:
        ours, equals, theirs = (part.strip() for part in each.partition("="))
        if not (ours and equals and theirs):
            raise DialectError("column", f"must be OURS=THEIRS, such as profile=customer_id, not {each[:100]!r}")
        columns[ours] = theirs
    return columns


_TEXTS = ("delimiter", "decimal", "encoding", "date_format", "timezone", "sheet")


def read_mapping(path: Path) -> dict[str, Any]:
    """The options in a mapping file: TOML with the names of options, and the table `columns` of names by our name.

    `[columns]` are names of any table, `[columns.profiles]` those of profiles. Raises DialectError.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DialectError("mapping", f"{path} can't be read: {error.strerror}") from None
    except ValueError as error:
        raise DialectError("mapping", f"{path} is not TOML: {error}") from None
    if unknown := sorted(content.keys() - {*_TEXTS, "columns"}):
        raise DialectError("mapping", f"{path} has unknown key {unknown[0]!r}. Allowed: {', '.join(_TEXTS)}, columns")
    if wrong := [name for name in _TEXTS if not isinstance(content.get(name, ""), str)]:
        raise DialectError("mapping", f"{path}: {wrong[0]} must be a text")
    return {**content, "columns": _flatten(path, content.get("columns", {}))}


def _flatten(path: Path, columns: object) -> dict[str, str]:
    names: dict[str, str] = {}
    for ours, theirs in columns.items() if isinstance(columns, dict) else ():
        if isinstance(theirs, dict):
            names |= {f"{ours}.{name}": text for name, text in theirs.items()}
        else:
            names[ours] = theirs
    if not isinstance(columns, dict) or not all(isinstance(each, str) for each in names.values()):
        raise DialectError("mapping", f'{path}: columns must be names by our name, such as profile = "Customer ID"')
    return names
