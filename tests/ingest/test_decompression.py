"""Packed files, whole, truncated and damaged."""

import gzip
import io
from collections.abc import Callable
from random import Random
from threading import Event

import pytest
import zstandard

from ingest.reading import HEADER, Write, bad, good, read
from regulars.ingest import decompression
from regulars.ingest.decompression import BrokenOffError, Packing
from regulars.ingest.limits import Limits, StoppedError, TooLargeError
from regulars.ingest.rows import Rejection

CONTENT = HEADER + b"".join(b"%d,,2026-01-01,%d.00\n" % (number, number % 97) for number in range(20_000))


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content)


def zstd(content: bytes) -> bytes:
    return zstandard.ZstdCompressor().compress(content)


@pytest.mark.parametrize(("ending", "pack"), [(".gz", gzipped), (".zst", zstd)])
class TestPacked:
    def test_is_read_as_if_it_were_not(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        assert len(good(read(write(f"sales.csv{ending}", pack(CONTENT))))) == 20_000

    def test_its_name_need_not_say_so(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        assert len(good(read(write("sales.csv", pack(CONTENT))))) == 20_000

    def test_several_put_together_are_one(self, write: Write, ending: str, pack: Callable[[bytes], bytes]) -> None:
        packed = pack(CONTENT) + pack(b"a,,2026-01-01,1\n") + pack(b"b,,2026-01-01,1\n")
        rows = good(read(write("sales.csv", packed)))
        assert [row["external_id"] for row in list(rows.values())[-3:]] == ["19999", "a", "b"]

    def test_truncated_it_gives_the_rows_before_the_break_and_tells_of_it(
        self, write: Write, ending: str, pack: Callable[[bytes], bytes]
    ) -> None:
        packed = pack(CONTENT * 2)
        rows = read(write("sales.csv", packed[:-10]))
        assert rows[-1] == Rejection(
            rows[-1].line if isinstance(rows[-1], Rejection) else 0,
            {"": "breaks off here: the packed file is truncated"},
        )
        assert len(good(rows)) > 20_000
        # The line that is cut is never taken for a whole one.
        totals = {row["external_id"]: row["total"] for row in good(rows).values() if row["total"] != "total"}
        assert all(total == f"{int(number) % 97}.00" for number, total in totals.items())

    def test_damaged_it_gives_the_rows_before_the_damage(
        self, write: Write, ending: str, pack: Callable[[bytes], bytes]
    ) -> None:
        packed = bytearray(pack(CONTENT * 4))
        packed[-len(packed) // 4 :] = Random(7).randbytes(len(packed) // 4)
        rows = read(write("sales.csv", bytes(packed)))
        # To zlib, one damage in twenty looks like data that goes on beyond the end.
        told = list(bad(rows).values())[-1]
        assert told.startswith(
            ("breaks off here: the packed file is damaged", "breaks off here: the packed file is truncated")
        )
        assert len(good(rows)) > 0


def test_a_small_file_that_unpacks_to_much_is_given_in_pieces() -> None:
    packed = gzipped(b"\n" * 50_000_000)
    pieces = list(decompression.unpacked(io.BytesIO(packed), Packing.GZIP, lambda size: None))
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= 1024 * 1024


@pytest.mark.parametrize("packing", Packing)
def test_no_more_is_decompressed_than_the_limit_allows(packing: Packing) -> None:
    content = b"\n" * 50_000_000
    packed = {Packing.PLAIN: content, Packing.GZIP: gzipped(content), Packing.ZSTD: zstd(content)}[packing]
    found = decompression.unpacked(io.BytesIO(packed), packing, lambda size: None, Limits(unpacked_bytes=5_000_000))
    sizes: list[int] = []
    with pytest.raises(TooLargeError, match=r"larger than 5,000,000 bytes when decompressed.*max_import_bytes"):
        sizes.extend(len(piece) for piece in found)
    assert sum(sizes) <= 5_000_000
    assert max(sizes) <= 1024 * 1024


@pytest.mark.timeout(60)
def test_very_many_members_are_decompressed_in_linear_time() -> None:
    packed = gzipped(b"") * 200_000 + gzipped(b"end")
    assert b"".join(decompression.unpacked(io.BytesIO(packed), Packing.GZIP, lambda size: None)) == b"end"


def test_zstd_that_needs_more_memory_than_is_allowed_is_damaged() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=25)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    packed = packer.compress(b"a" * 1_000) + packer.flush()
    with pytest.raises(BrokenOffError, match="damaged"):
        list(decompression.unpacked(io.BytesIO(packed), Packing.ZSTD, lambda size: None, Limits(window_bytes=2**23)))
    assert list(decompression.unpacked(io.BytesIO(packed), Packing.ZSTD, lambda size: None)) == [b"a" * 1_000]


def test_decompression_stops_when_the_limits_say_so() -> None:
    stopped = Event()
    found = decompression.unpacked(
        io.BytesIO(gzipped(b"\n" * 5_000_000)), Packing.GZIP, lambda size: None, Limits(stopped=stopped.is_set)
    )
    next(found)
    stopped.set()
    with pytest.raises(StoppedError):
        next(found)
