"""The tar format: POSIX ustar with pax and GNU long names, regular files only.

Works on bytes in memory and extracts nothing; whether a name is a path that a bundle may have is the archive's question.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from authz.bundle.errors import BundleError

BLOCK: Final = 512
_ZEROS: Final = bytes(BLOCK)
_MODE: Final = 0o600
_MAX_HEADER_BYTES: Final = 1 << 16  # what a pax header or a long name may hold
_NAME: Final = slice(0, 100)
_SIZE: Final = slice(124, 136)
_CHECKSUM: Final = slice(148, 156)
_TYPE: Final = 156
_MAGIC: Final = slice(257, 263)
_PREFIX: Final = slice(345, 500)

_REGULAR: Final = b"0\0"
_DIRECTORY: Final = ord("5")
_PAX: Final = ord("x")
_PAX_GLOBAL: Final = ord("g")
_GNU_NAME: Final = ord("L")
_GNU_LINK: Final = ord("K")
_KINDS: Final = {ord("1"): "a hard link", ord("2"): "a symbolic link", ord("3"): "a device", ord("4"): "a device", ord("6"): "a FIFO"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file: its name as it is written, and its content."""

    name: str
    content: memoryview


def is_tar(content: bytes) -> bool:
    """Say whether this begins as a tar archive does."""
    return content[257:262] == b"ustar"


def entries(content: bytes, max_file_bytes: int, max_headers: int) -> Iterator[Entry]:
    """Yield the regular files in order; directories are passed over. Raises BundleError for anything else, and at the first damage.

    `max_headers` bounds what is read altogether: directories and long names, too.
    """
    reader = _Reader(content, max_headers)
    name: str | None = None
    size: int | None = None
    while (header := reader.header()) is not None:
        kind = header[_TYPE]
        own_size = reader.number(header[_SIZE])
        if kind in (_PAX, _PAX_GLOBAL, _GNU_NAME, _GNU_LINK):
            text = reader.text(own_size)
            if kind == _GNU_NAME:
                name = _name(text.split(b"\0", 1)[0])
            elif kind == _PAX:
                records = _pax_records(text)
                name = _name(records[b"path"]) if b"path" in records else name
                size = _decimal(records[b"size"]) if b"size" in records else size
            continue
        entry_name = name if name is not None else _short_name(header)
        entry_size = size if size is not None else own_size
        name = size = None
        if kind == _DIRECTORY or (kind == 0 and entry_name.endswith("/")):
            continue
        if kind not in _REGULAR:
            what = _KINDS.get(kind, f"of type `{chr(kind)}`")
            raise BundleError(f"`{entry_name}` is {what}", help="a bundle holds regular files only")
        if entry_size > max_file_bytes:
            raise BundleError(f"bundle file '{entry_name}' size ({entry_size} bytes) exceeded max size ({max_file_bytes} bytes)")
        yield Entry(entry_name, reader.body(entry_size, entry_name))
    if name is not None or size is not None:
        raise BundleError("archive read failed: tar: a name without a file at the end")


class _Reader:
    """The archive and where it is read. INVARIANT: `at` is a multiple of the block size."""

    def __init__(self, content: bytes, max_headers: int) -> None:
        self._content = memoryview(content)
        self._headers_left = max_headers
        self.at = 0

    def header(self) -> bytes | None:
        """Return the next header; None at the end, which a block of zeros marks: without one, files may be missing."""
        block = bytes(self._content[self.at : self.at + BLOCK])
        if len(block) < BLOCK:
            raise self.error("unexpected end", self.at)
        if block == _ZEROS:
            if bytes(self._content[self.at :]).strip(b"\0"):
                raise self.error("data after the end of the archive", self.at)
            return None
        if self.number(block[_CHECKSUM]) != sum(block) - sum(block[_CHECKSUM]) + 8 * ord(" "):
            raise self.error("invalid header", self.at)
        self.at += BLOCK
        self._headers_left -= 1
        if self._headers_left < 0:
            raise self.error("too many entries", self.at)
        return block

    def number(self, field: bytes) -> int:
        """Read a number: octal text, or GNU's binary for what is too large for that."""
        if field[0] & 0x80:
            number = int.from_bytes(field, "big") - (0x80 << (8 * (len(field) - 1)))
            if number >= 1 << 62:
                raise self.error("invalid number in a header", self.at)
            return number
        digits = field.strip(b"\0 ")
        if digits.strip(b"01234567"):
            raise self.error("invalid number in a header", self.at)
        return int(digits, 8) if digits else 0

    def body(self, size: int, name: str) -> memoryview:
        end = self.at + size
        if end > len(self._content):
            raise BundleError(f"archive read failed: tar: unexpected end in `{name}`")
        body = self._content[self.at : end]
        self.at = end + -size % BLOCK
        return body

    def text(self, size: int) -> bytes:
        if size > _MAX_HEADER_BYTES:
            raise self.error(f"a name or pax header of more than {_MAX_HEADER_BYTES} bytes", self.at)
        return bytes(self.body(size, "a pax header"))

    def error(self, what: str, at: int) -> BundleError:
        return BundleError(f"archive read failed: tar: {what} (byte {at} of the expanded archive)")


def _short_name(header: bytes) -> str:
    name = header[_NAME].split(b"\0", 1)[0]
    prefix = header[_PREFIX].split(b"\0", 1)[0] if header[_MAGIC] == b"ustar\0" else b""
    return _name(prefix + b"/" + name if prefix else name)


def _name(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleError(f"`{raw.decode('utf-8', 'backslashreplace')}`: the name is not valid UTF-8") from error


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 18:
        raise BundleError("archive read failed: tar: invalid size in a pax header")
    return int(text)


def _pax_records(text: bytes) -> dict[bytes, bytes]:
    """Read records of the form `27 path=some/long/name\\n`, their length first (POSIX pax, extended header)."""
    records: dict[bytes, bytes] = {}
    while text:
        digits = text[:10].partition(b" ")[0]
        size = int(digits) if digits.isdigit() else 0
        record = text[len(digits) + 1 : size - 1]
        key, equals, value = record.partition(b"=")
        if not len(digits) + 1 < size <= len(text) or text[size - 1 : size] != b"\n" or not equals:
            raise BundleError("archive read failed: tar: invalid pax header")
        if key.startswith(b"GNU.sparse"):
            raise BundleError("a sparse file in the archive", help="a bundle holds regular files only")
        records[key] = value
        text = text[size:]
    return records


def write(files: Iterable[tuple[str, bytes]]) -> bytes:
    """Return the archive of files in the order given, with no owner and no time. A name of more than 100 bytes gets a pax header."""
    out = bytearray()
    for name, content in files:
        raw = name.encode()
        if len(raw) > 100:
            _append(out, raw[-100:], ord("x"), _pax_record(b"path", raw))
        _append(out, raw[-100:], ord("0"), content)
    return bytes(out + _ZEROS + _ZEROS)


def _append(out: bytearray, name: bytes, kind: int, content: bytes) -> None:
    header = bytearray(BLOCK)
    header[_NAME] = name.ljust(100, b"\0")
    header[100:124] = b"%07o\0%07o\0%07o\0" % (_MODE, 0, 0)
    header[_SIZE] = b"%011o\0" % len(content)
    header[136:148] = b"%011o\0" % 0
    header[_CHECKSUM] = b" " * 8
    header[_TYPE] = kind
    header[257:265] = b"ustar\x0000"
    header[_CHECKSUM] = b"%06o\0 " % sum(header)
    out += header + content + bytes(-len(content) % BLOCK)


def _pax_record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    size = len(rest)
    while size != len(rest) + len(str(size)):
        size = len(rest) + len(str(size))
    return str(size).encode() + rest
