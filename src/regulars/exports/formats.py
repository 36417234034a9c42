"""The formats of exported files, declared once: name, extension, media type, writer."""

from dataclasses import dataclass
from enum import Enum

from regulars.exports.compression import FileCompression
from regulars.exports.writers.arrow import ArrowWriter
from regulars.exports.writers.csv import CsvWriter
from regulars.exports.writers.ndjson import NdjsonWriter
from regulars.exports.writers.parquet import ParquetWriter
from regulars.exports.writers.writer import ExportWriter
from regulars.exports.writers.xlsx import XlsxWriter


@dataclass(frozen=True, slots=True)
class _Traits:
    media_type: str
    writer: type[ExportWriter]
    description: str


class ExportFormat(Enum):
    """A format of exported files. Its name in lower case is its code in the API and the extension of its files."""

    CSV = _Traits(
        "text/csv; charset=utf-8", CsvWriter, "CSV: UTF-8, RFC 4180, with a header; lists and objects are JSON."
    )
    XLSX = _Traits(
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        XlsxWriter,
        "Office Open XML workbook: real numbers and dates, a frozen header, as many sheets as needed.",
    )
    NDJSON = _Traits("application/x-ndjson", NdjsonWriter, "NDJSON: a JSON object for each row.")
    PARQUET = _Traits("application/vnd.apache.parquet", ParquetWriter, "Apache Parquet, compressed with Zstandard.")
    ARROW = _Traits(
        "application/vnd.apache.arrow.file", ArrowWriter, "Apache Arrow IPC file (Feather V2), compressed with LZ4."
    )

    @property
    def code(self) -> str:
        """Its code in the API."""
        return self.name.lower()

    @property
    def extension(self) -> str:
        """The extension of its files, such as .csv."""
        return f".{self.code}"

    @property
    def media_type(self) -> str:
        """The value of Content-Type."""
        return self.value.media_type

    @property
    def writer(self) -> type[ExportWriter]:
        """The class that writes it."""
        return self.value.writer

    @property
    def description(self) -> str:
        """What the format is, for documentation."""
        return self.value.description

    def file_name(self, name: str, compression: FileCompression | None) -> str:
        """The name of a file in this format."""
        return f"{name}{self.extension}{compression.suffix if compression is not None else ''}"


BINARY_MEDIA_TYPE = "application/octet-stream"

FORMATS_BY_CODE = {each.code: each for each in ExportFormat}
