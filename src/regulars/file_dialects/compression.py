"""Decompresses files, plain, gzip or zstd, in bounded chunks."""

import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import BinaryIO

from backports import zstd

from regulars.file_dialects.limits import UNLIMITED, FileLimits

_READ_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024
# The unused rest of a read is copied at the end of each gzip member, and a member may be as short as 20 bytes.
_GZIP_READ_BYTES = 4 * 1024
# A read with damaged data decompresses to nothing, also what comes before the damage.
_ZSTD_READ_BYTES = 4 * 1024


class Compression(Enum):
    """How a file is compressed."""

    NONE = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


class TruncatedFileError(ValueError):
    """A compressed file is truncated or damaged; the message says which. Everything before is valid."""


def detect_compression(beginning: bytes) -> Compression:
    """The compression of a file, by its first bytes."""
    if beginning.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):
        return Compression.ZSTD
    return Compression.NONE


_READ_SIZES = {
    Compression.NONE: _READ_BYTES, Compression.GZIP: _GZIP_READ_BYTES, Compression.ZSTD: _ZSTD_READ_BYTES,
}  # fmt: skip


def decompress(
    file: BinaryIO, compression: Compression, on_read: Callable[[int], None], limits: FileLimits = UNLIMITED
) -> Iterator[bytes]:
    """Yields the content of a file in chunks of at most a megabyte; `on_read` is called with the bytes of each read.

    Raises TruncatedFileError after everything that can be read of a truncated or damaged file, FileTooLargeError and
    ReadAbortedError by the limits.
    """
    chunks = _read(file, _READ_SIZES[compression], on_read)
    if compression is not Compression.NONE:
        chunks = _inflate(chunks, _Gzip if compression is Compression.GZIP else partial(_Zstd, limits.window_bytes))
    size = 0
    for chunk in chunks:
        for start in range(0, len(chunk), _CHUNK_BYTES):
            part = chunk[start : start + _CHUNK_BYTES]
            size += len(part)
            limits.require_bytes(size)
            yield part


def _read(file: BinaryIO, size: int, on_read: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := file.read(size):
        on_read(len(chunk))
        yield chunk


class _Gzip:
    """Decompresses one member of a gzip file."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield self._zlib.decompress(chunk, _CHUNK_BYTES)
        while self._zlib.unconsumed_tail:
            yield self._zlib.decompress(self._zlib.unconsumed_tail, _CHUNK_BYTES)

    @property
    def is_complete(self) -> bool:
        return self._zlib.eof

    @property
    def rest(self) -> bytes:
        return self._zlib.unused_data


class _Zstd:
    """Decompresses one frame of a zstd file."""

    def __init__(self, window_bytes: int) -> None:
        # The limit is a power of two, and the library takes its exponent.
        window_log = window_bytes.bit_length() - 1
        self._zstd = zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log})

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        yield self._zstd.decompress(chunk, _CHUNK_BYTES)
        while not self._zstd.eof and not self._zstd.needs_input:
            yield self._zstd.decompress(b"", _CHUNK_BYTES)

    @property
    def is_complete(self) -> bool:
        return self._zstd.eof

    @property
    def rest(self) -> bytes:
        return self._zstd.unused_data


def _inflate(chunks: Iterator[bytes], decompressor: Callable[[], _Gzip | _Zstd]) -> Iterator[bytes]:
    part = decompressor()
    is_started = False
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                is_started = True
                yield from part.feed(rest)
                rest = b""
                if part.is_complete:
                    # Concatenated compressed files are one file.
                    rest, part, is_started = part.rest, decompressor(), False
    except (zlib.error, zstd.ZstdError) as error:
        raise TruncatedFileError(f"can't be read: the compressed file is damaged ({error})") from None
    if is_started:
        raise TruncatedFileError("can't be read: the compressed file is truncated")
