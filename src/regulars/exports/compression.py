"""Compression of exported files."""

import zlib
from enum import Enum
from typing import BinaryIO, Protocol

from backports import zstd


class _Compressor(Protocol):
    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class FileCompression(Enum):
    """How an exported file is compressed: name, suffix of the file's name, and Content-Encoding."""

    GZIP = "gzip", ".gz"
    ZSTD = "zstd", ".zst"

    @property
    def code(self) -> str:
        """Its name outside, which is also its Content-Encoding."""
        return self.value[0]

    @property
    def suffix(self) -> str:
        """What is added to the name of a file."""
        return self.value[1]


# Faster levels than the defaults: they compress tables nearly as well.
_GZIP_LEVEL = 4
_ZSTD_LEVEL = 3

COMPRESSIONS_BY_CODE = {each.code: each for each in FileCompression}


def _new_compressor(compression: FileCompression) -> _Compressor:
    if compression is FileCompression.GZIP:
        return zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    return zstd.ZstdCompressor(level=_ZSTD_LEVEL)


class OutputFile:
    """A file that counts the bytes written to it and, optionally, compresses what is written."""

    def __init__(self, file: BinaryIO, compression: FileCompression | None) -> None:
        self._file = file
        self._compressor = None if compression is None else _new_compressor(compression)
        self.size = 0
        self.closed = False

    def write(self, data: bytes | memoryview) -> int:
        """Writes data; returns its length."""
        self._put(data if self._compressor is None else self._compressor.compress(bytes(data)))
        return len(data)

    def _put(self, data: bytes | memoryview) -> None:
        # An unbuffered file may write only a part.
        view = memoryview(data)
        while view:
            written = self._file.write(view)
            self.size += written
            view = view[written:]

    def flush(self) -> None:
        """Flushes the file; the compressor is not flushed before the end."""
        self._file.flush()

    def finish(self) -> None:
        """Writes what the compressor has buffered, and flushes the file. The file stays open."""
        if self._compressor is not None:
            self._put(self._compressor.flush())
        self._file.flush()

    def tell(self) -> int:
        """The number of bytes written, after compression."""
        return self.size
