"""The encodings of text files: which are allowed, which one a file has, and its content as UTF-8."""

import codecs
import re
from collections.abc import Iterable, Iterator

UTF_8 = "utf-8"
WINDOWS_1252 = "cp1252"

MARKS = {codecs.BOM_UTF8: UTF_8, codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Encodings by the byte order mark that a file begins with."""

_ALLOWED = re.compile(
    r"utf-8|utf-8-sig|utf-16|utf-16-le|utf-16-be|ascii|iso8859-\d+|cp\d+|mac-\w+|koi8-\w|tis-620|"
    r"shift_jis|cp932|euc_\w+|gb2312|gbk|gb18030|big5"
)
_DESCRIPTIONS = {UTF_8: "UTF-8", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "ascii": "ASCII"}

_ASCII = bytes(range(128))
_UNDEFINED_IN_WINDOWS_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
_LETTERS_IN_A_ROW = re.compile(rb"[\xc0-\xff]{4}")
"""Text in a Western language has accents on single letters; another alphabet has whole words of such bytes."""


def parse_encoding(name: str) -> str:
    """The codec of an encoding that a caller names. Raises ValueError for an unknown one."""
    try:
        codec = codecs.lookup(name).name
    except LookupError:
        codec = ""
    if not _ALLOWED.fullmatch(codec):
        raise ValueError(f"must be an encoding of text, such as utf-8, utf-16 or cp1252, not {name[:50]!r}")
    return UTF_8 if codec in ("utf-8-sig", "ascii") else codec


def describe(encoding: str) -> str:
    """The name of an encoding as people write it."""
    if encoding.startswith("cp12"):
        return f"Windows-{encoding[2:]}"
    return _DESCRIPTIONS.get(encoding, encoding.upper().replace("ISO8859", "ISO-8859"))


class EncodingDetector:
    """Detects the encoding of a file from its beginning, which is fed in chunks."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder(UTF_8)("strict")
        self._beginning: bytes = b""
        self._is_utf_8 = True
        self._is_windows_1252 = True
        self._valid_bytes = self._invalid_bytes = 0

    def feed(self, chunk: bytes) -> None:
        """Takes the next chunk."""
        if not self._beginning:
            self._beginning = chunk[:4096]
        if chunk.isascii() and not self._decoder.getstate()[0]:
            return
        try:
            self._decoder.decode(chunk)
        except UnicodeDecodeError:
            self._decoder.reset()
            self._is_utf_8 = False
        others = len(chunk.translate(None, _ASCII))
        valid = len(chunk.decode(errors="ignore").encode()) - (len(chunk) - others)
        self._valid_bytes += valid
        self._invalid_bytes += others - valid
        self._is_windows_1252 &= not (_UNDEFINED_IN_WINDOWS_1252.search(chunk) or _LETTERS_IN_A_ROW.search(chunk))

    def result(self) -> str:
        """The encoding. Without certainty it is UTF-8, in which the lines that are not are rejected."""
        for mark, encoding in MARKS.items():
            if self._beginning.startswith(mark):
                return encoding
        # Every second byte of UTF-16 is 0 in names of columns and digits.
        even, odd = self._beginning[::2].count(0), self._beginning[1::2].count(0)
        if max(even, odd) * 4 > len(self._beginning):
            return "utf-16-le" if odd > even else "utf-16-be"
        # Some letters of Windows-1252 are valid UTF-8 by chance; of damaged UTF-8 most are.
        is_damaged = self._valid_bytes * 5 > self._invalid_bytes
        return UTF_8 if self._is_utf_8 or is_damaged or not self._is_windows_1252 else WINDOWS_1252


def to_utf_8(chunks: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """The chunks of a file in UTF-8. Bytes that the encoding does not define become U+FFFD."""
    if encoding == UTF_8:
        yield from chunks
        return
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for chunk in chunks:
        yield decoder.decode(chunk).encode(errors="replace")
    yield decoder.decode(b"", final=True).encode()
