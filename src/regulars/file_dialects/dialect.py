"""The dialect of a file: how it is written, as stated by the caller or detected from its beginning."""

import csv
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice

from regulars.core import date_formats
from regulars.core.cells import NUMBERS, CellFormat
from regulars.core.field_type import FieldType
from regulars.core.number_forms import FORMS_BY_MARK, PLAIN, NumberForm, detect_form
from regulars.core.time_forms import BLANKS, forms_of
from regulars.file_dialects.compression import TruncatedFileError
from regulars.file_dialects.encodings import MARKS, UTF_8, EncodingDetector, describe, to_utf_8
from regulars.file_dialects.options import DialectOptions
from regulars.file_dialects.spreadsheets import Sheet

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
"""The separators that are detected, and their names."""

ENCODING_BYTES = 16 * 1024 * 1024
"""How much of a file, decompressed, is read to detect its encoding."""

SAMPLE_BYTES = 1024 * 1024
SAMPLE_ROWS = 2_000
"""How much of a file is read to detect the rest."""


@dataclass(frozen=True, slots=True)
class FileDialect:
    """How a file of text is written.

    `sheet` is that of a spreadsheet. `has_separator_line` says that its first line is `sep=;` or the like, and no header.
    """

    encoding: str = UTF_8
    delimiter: str = ","
    numbers: NumberForm = PLAIN
    date_format: str | None = None
    has_separator_line: bool = False
    time_advice: str = ""
    sheet: str | None = None

    @property
    def cell_format(self) -> CellFormat:
        """How its cells are written."""
        return CellFormat(forms_of(self.date_format), self.numbers, self.time_advice)

    @property
    def description(self) -> str:
        """The dialect in words: `semicolon-separated, decimal comma, Windows-1252`."""
        times = [] if self.date_format is None else [f"times as {self.date_format}"]
        if self.sheet is not None:
            return ", ".join([f"sheet {self.sheet!r}", self.numbers.description, *times])
        separator = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        return ", ".join([f"{separator}-separated", self.numbers.description, describe(self.encoding), *times])

    @property
    def is_default(self) -> bool:
        """Whether a file is separated by commas, in UTF-8, and has plain numbers."""
        return (self.encoding, self.delimiter, self.numbers, self.sheet) == (UTF_8, ",", PLAIN, None)


def detect_dialect(
    chunks: Iterable[bytes],
    options: DialectOptions,
    types: Mapping[str, FieldType],
    known: Collection[str],
    default_delimiter: str = ",",
) -> FileDialect:
    """The dialect of a CSV file, from its decompressed content.

    `types` are the types of parsed columns, `known` the names of all columns, both by name in the file.
    """
    beginning, encoding = _read_beginning(chunks, options.encoding)
    text = b"".join(to_utf_8([beginning], encoding)).decode(errors="replace").removeprefix("\ufeff")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(beginning) >= SAMPLE_BYTES:
        # The last line is cut off.
        lines.pop()
    separator = _separator_of_line(lines[0]) if lines else None
    if separator is not None:
        del lines[0]
    lines = [each for each in lines if each.strip()][:SAMPLE_ROWS]
    delimiter = options.delimiter or separator or _detect_delimiter(lines, known, default_delimiter)
    times, amounts = _samples(_rows(lines, delimiter), types)
    numbers = FORMS_BY_MARK[options.decimal] if options.decimal else detect_form(amounts) or PLAIN
    advice = date_formats.advise(times)
    return FileDialect(encoding, delimiter, numbers, options.date_format, separator is not None, advice)


def detect_sheet_dialect(sheet: Sheet, options: DialectOptions, types: Mapping[str, FieldType]) -> FileDialect:
    """The dialect of the text in a sheet."""
    times, amounts = _samples(islice(sheet.texts(), SAMPLE_ROWS), types)
    numbers = FORMS_BY_MARK[options.decimal] if options.decimal else detect_form(amounts) or PLAIN
    return FileDialect(
        numbers=numbers, date_format=options.date_format, time_advice=date_formats.advise(times), sheet=sheet.name
    )


def stated_dialect(options: DialectOptions) -> FileDialect:
    """The dialect of a file that is not CSV: nothing is detected."""
    numbers = FORMS_BY_MARK[options.decimal] if options.decimal else PLAIN
    return FileDialect(options.encoding or UTF_8, numbers=numbers, date_format=options.date_format)


def _read_beginning(chunks: Iterable[bytes], stated: str | None) -> tuple[bytes, str]:
    detector, beginning, size = EncodingDetector(), b"", 0
    # The reader of the rows reports a truncated file.
    with suppress(TruncatedFileError):
        for chunk in chunks:
            if len(beginning) < SAMPLE_BYTES:
                beginning += chunk
            size += len(chunk)
            if stated is None:
                detector.feed(chunk)
            if size >= (ENCODING_BYTES if stated is None else SAMPLE_BYTES):
                break
    if stated == "utf-16":
        stated = next((encoding for mark, encoding in MARKS.items() if beginning.startswith(mark)), "utf-16-le")
    return beginning[:SAMPLE_BYTES], stated or detector.result()


def _separator_of_line(line: str) -> str | None:
    """The separator that a line `sep=;`, which Excel reads, states."""
    text = line.strip(" ").strip('"')
    return text[4] if len(text) == 5 and text[:4].lower() == "sep=" else None


def _detect_delimiter(lines: Sequence[str], known: Collection[str], default: str) -> str:
    """The separator by which the header has the most known names, then by which the most lines are as wide as it."""

    def score(delimiter: str) -> tuple[int, float, int, bool]:
        header, *rows = [*_rows(lines[:100], delimiter)] or [[]]
        width = len(header)
        equal = sum(len(row) == width for row in rows) / max(len(rows), 1) if width > 1 else 0
        return sum(name.strip() in known for name in header), equal, width, delimiter == default

    return max(DELIMITERS, key=score) if lines else default


def _rows(lines: Sequence[str], delimiter: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader((f"{each}\n" for each in lines), delimiter=delimiter)
    except csv.Error:
        # Rows with errors are reported when they are read.
        return


def _samples(rows: Iterator[list[str]], types: Mapping[str, FieldType]) -> tuple[list[str], list[str]]:
    """The cells of times, and those of numbers."""
    header = [name.strip() for name in next(rows, [])]
    columns = {index: types[name] for index, name in enumerate(header) if name in types}
    times: list[str] = []
    numbers: list[str] = []
    for row in rows:
        for index, field_type in columns.items():
            if index < len(row) and (cell := row[index].strip(BLANKS)):
                if field_type is FieldType.TIMESTAMP:
                    times.append(cell)
                elif field_type in NUMBERS:
                    numbers.append(cell)
    return times, numbers
