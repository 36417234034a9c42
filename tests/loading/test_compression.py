"""Compressed files: complete, truncated and damaged."""

import gzip
import io
from collections.abc import Callable
from random import Random
from threading import Event

import pytest
from backports import zstd

from loading.file_reading import HEADER, WriteFile, parsed_rows, read_rows, rejection_reasons
from regulars.file_dialects import compression
from regulars.file_dialects.compression import Compression, TruncatedFileError
from regulars.file_dialects.limits import FileLimits, FileTooLargeError, ReadAbortedError
from regulars.loading.readers.rows import RejectedRow

CONTENT = HEADER + b"".join(b"%d,,2026-01-01,%d.00\n" % (number, number % 97) for number in range(20_000))


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content)


def zstd_compressed(content: bytes) -> bytes:
    return zstd.compress(content)


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzipped), (".zst", zstd_compressed)])
class TestCompressed:
    def test_a_compressed_file_is_read_like_a_plain_one(
        self, write_file: WriteFile, suffix: str, compress: Callable[[bytes], bytes]
    ) -> None:
        assert len(parsed_rows(read_rows(write_file(f"sales.csv{suffix}", compress(CONTENT))))) == 20_000

    def test_the_name_may_lack_the_suffix(
        self, write_file: WriteFile, suffix: str, compress: Callable[[bytes], bytes]
    ) -> None:
        assert len(parsed_rows(read_rows(write_file("sales.csv", compress(CONTENT))))) == 20_000

    def test_concatenated_files_are_one_file(
        self, write_file: WriteFile, suffix: str, compress: Callable[[bytes], bytes]
    ) -> None:
        compressed = compress(CONTENT) + compress(b"a,,2026-01-01,1\n") + compress(b"b,,2026-01-01,1\n")
        rows = parsed_rows(read_rows(write_file("sales.csv", compressed)))
        assert [row["external_id"] for row in list(rows.values())[-3:]] == ["19999", "a", "b"]

    def test_a_truncated_file_yields_its_complete_rows_and_an_error(
        self, write_file: WriteFile, suffix: str, compress: Callable[[bytes], bytes]
    ) -> None:
        compressed = compress(CONTENT * 2)
        rows = read_rows(write_file("sales.csv", compressed[:-10]))
        assert rows[-1] == RejectedRow(
            rows[-1].line if isinstance(rows[-1], RejectedRow) else 0,
            {"": "can't be read: the compressed file is truncated"},
        )
        assert len(parsed_rows(rows)) > 20_000
        # A truncated line is never read as a complete one.
        totals = {row["external_id"]: row["total"] for row in parsed_rows(rows).values() if row["total"] != "total"}
        assert all(total == f"{int(number) % 97}.00" for number, total in totals.items())

    def test_a_damaged_file_yields_the_rows_before_the_damage(
        self, write_file: WriteFile, suffix: str, compress: Callable[[bytes], bytes]
    ) -> None:
        compressed = bytearray(compress(CONTENT * 4))
        compressed[-len(compressed) // 4 :] = Random(7).randbytes(len(compressed) // 4)
        rows = read_rows(write_file("sales.csv", bytes(compressed)))
        # zlib takes one damaged file in twenty for a truncated one.
        reason = list(rejection_reasons(rows).values())[-1]
        assert reason.startswith(
            ("can't be read: the compressed file is damaged", "can't be read: the compressed file is truncated")
        )
        assert len(parsed_rows(rows)) > 0


def test_a_small_file_that_decompresses_to_much_is_read_in_chunks() -> None:
    compressed = gzipped(b"\n" * 50_000_000)
    chunks = list(compression.decompress(io.BytesIO(compressed), Compression.GZIP, lambda size: None))
    assert sum(map(len, chunks)) == 50_000_000
    assert max(map(len, chunks)) <= 1024 * 1024


@pytest.mark.parametrize("algorithm", Compression)
def test_no_more_is_decompressed_than_the_limit_allows(algorithm: Compression) -> None:
    content = b"\n" * 50_000_000
    compressed = {
        Compression.NONE: content,
        Compression.GZIP: gzipped(content),
        Compression.ZSTD: zstd_compressed(content),
    }[algorithm]
    pieces = compression.decompress(
        io.BytesIO(compressed), algorithm, lambda size: None, FileLimits(decompressed_bytes=5_000_000)
    )
    sizes: list[int] = []
    with pytest.raises(FileTooLargeError, match=r"larger than 5,000,000 bytes when decompressed.*max_import_bytes"):
        sizes.extend(len(piece) for piece in pieces)
    assert sum(sizes) <= 5_000_000
    assert max(sizes) <= 1024 * 1024


@pytest.mark.timeout(60)
def test_very_many_members_are_decompressed_in_linear_time() -> None:
    compressed = gzipped(b"") * 200_000 + gzipped(b"end")
    assert b"".join(compression.decompress(io.BytesIO(compressed), Compression.GZIP, lambda size: None)) == b"end"


def test_zstd_with_a_larger_window_than_allowed_is_damaged() -> None:
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 25})
    compressed = compressor.compress(b"a" * 1_000) + compressor.flush()
    with pytest.raises(TruncatedFileError, match="damaged"):
        list(
            compression.decompress(
                io.BytesIO(compressed), Compression.ZSTD, lambda size: None, FileLimits(window_bytes=2**23)
            )
        )
    assert list(compression.decompress(io.BytesIO(compressed), Compression.ZSTD, lambda size: None)) == [b"a" * 1_000]


def test_decompression_is_aborted_by_the_limits() -> None:
    stopped = Event()
    pieces = compression.decompress(
        io.BytesIO(gzipped(b"\n" * 5_000_000)),
        Compression.GZIP,
        lambda size: None,
        FileLimits(is_aborted=stopped.is_set),
    )
    next(pieces)
    stopped.set()
    with pytest.raises(ReadAbortedError):
        next(pieces)
