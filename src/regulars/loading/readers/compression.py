"""Files as they are packed: plain, gzip or zstd, read in pieces however large they are unpacked."""

import zlib
from collections.abc import Callable, Iterator
from enum import Enum
from functools import partial
from typing import BinaryIO

from backports import zstd

from regulars.loading.readers.limits import UNLIMITED, FileLimits

_READ = 64 * 1024
_UNPACKED = 1024 * 1024
# The rest of what was read is copied at the end of each part, and a part may be 20 bytes.
_GZIP_READ = 4 * 1024


class Compression(Enum):
    """How a file is packed."""

    NONE = "identity"
    GZIP = "gzip"
    ZSTD = "zstd"


class TruncatedFileError(ValueError):
    """What is read ends before its end; the message says how. What came before it is good."""


def detect_compression(beginning: bytes) -> Compression:
    """How a file with these first bytes is packed."""
    if beginning.startswith(b"\x1f\x8b"):
        return Compression.GZIP
    if beginning.startswith(b"\x28\xb5\x2f\xfd"):
        return Compression.ZSTD
    return Compression.NONE


_READS = {Compression.NONE: _READ, Compression.GZIP: _GZIP_READ, Compression.ZSTD: _READ}


def decompress(
    file: BinaryIO, compression: Compression, on_read: Callable[[int], None], limits: FileLimits = UNLIMITED
) -> Iterator[bytes]:
    """The content of a file in pieces of a megabyte at most; `moved` is called with the packed size of each.

    Raises TruncatedFileError after all that can be read of a file that is truncated or damaged, FileTooLargeError and
    ReadAbortedError as the limits say.
    """
    pieces = _pieces(file, _READS[compression], on_read)
    if compression is not Compression.NONE:
        pieces = _inflated(pieces, _Gzip if compression is Compression.GZIP else partial(_Zstd, limits.window_bytes))
    size = 0
    for piece in pieces:
        for start in range(0, len(piece), _UNPACKED):
            part = piece[start : start + _UNPACKED]
            size += len(part)
            limits.require_bytes(size)
            yield part


def _pieces(file: BinaryIO, size: int, moved: Callable[[int], None]) -> Iterator[bytes]:
    while piece := file.read(size):
        moved(len(piece))
        yield piece


class _Gzip:
    """Unpacks one member of a gzip file."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._zlib.decompress(piece, _UNPACKED)
        while self._zlib.unconsumed_tail:
            yield self._zlib.decompress(self._zlib.unconsumed_tail, _UNPACKED)

    @property
    def ended(self) -> bool:
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

    def feed(self, piece: bytes) -> Iterator[bytes]:
        yield self._zstd.decompress(piece, _UNPACKED)
        while not self._zstd.eof and not self._zstd.needs_input:
            yield self._zstd.decompress(b"", _UNPACKED)

    @property
    def ended(self) -> bool:
        return self._zstd.eof

    @property
    def rest(self) -> bytes:
        return self._zstd.unused_data


def _inflated(pieces: Iterator[bytes], unpacker: Callable[[], _Gzip | _Zstd]) -> Iterator[bytes]:
    part = unpacker()
    begun = False
    try:
        for piece in pieces:
            rest = piece
            while rest:
                begun = True
                yield from part.feed(rest)
                rest = b""
                if part.ended:
                    # Several files packed one by one and put together are one file.
                    rest, part, begun = part.rest, unpacker(), False
    except (zlib.error, zstd.ZstdError) as error:
        raise TruncatedFileError(f"breaks off here: the packed file is damaged ({error})") from None
    if begun:
        raise TruncatedFileError("breaks off here: the packed file is truncated")
