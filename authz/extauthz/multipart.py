"""multipart/form-data as Go's mime/multipart reads it (RFC 2046, 5.1; RFC 7578), and media types as its mime package does.

Works on whole bodies in memory, which Envoy has bounded. Knows neither headers of the request nor values of the policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from authz.extauthz.errors import BadRequestError

MAX_PARTS: Final = 1000  # Go's bounds for a whole form (ReadForm, CVE-2022-41725); it counts folded lines as one
MAX_HEADER_LINES: Final = 10_000

# Possessive quantifiers (`++`, `*+`) keep every pattern linear: a client writes these texts, and nothing may be tried twice.
_WORD: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]++"
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}(?:/{_WORD})?")
_PARAMETER: Final = re.compile(rf'\s*+;\s*+({_WORD})\s*+=\s*+(?:"((?:[^"\\\r\n]|\\.)*+)"|({_WORD}))')
_END_OF_PARAMETERS: Final = re.compile(r"\s*+;?\s*+")
_QUOTED_PAIR: Final = re.compile(r"\\([()<>@,;:\\\"/\[\]?=])")  # a backslash before anything else is literal (MSIE's file names)
_HEADER: Final = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]++):[ \t]*+([^\x00-\x08\x0a-\x1f\x7f]*+)")
_AFTER_BOUNDARY: Final = re.compile(rb"[ \t\r\n]|--|\Z")
_BOUNDARY_REST: Final = re.compile(rb"(--)?[ \t]*+(\r\n|\n|\Z)")
_LINE: Final = re.compile(rb"[^\n]*\n|[^\n]+")
_LINE_END: Final = re.compile(rb"(?:\r?\n)?\Z")
_ESCAPE: Final = re.compile(rb"=([0-9A-Fa-f]{2})")
_UNESCAPED: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|=\r")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its form-data name (empty if it has none), its content type and its content, which is decoded if it has a name."""

    name: str
    content_type: str
    content: bytes


def media_type(text: str) -> tuple[str, dict[str, str]]:
    """Return the lower-case type and its parameters; raise BadRequestError.

    RFC 2231 continuations (`name*0=…`) are refused; Go joins them, no browser sends them.
    """
    base, _, _ = text.partition(";")
    kind = base.strip().lower()
    if not _MEDIA_TYPE.fullmatch(kind):
        raise BadRequestError("mime: no media type")
    parameters: dict[str, str] = {}
    position = len(base)
    while match := _PARAMETER.match(text, position):
        name, quoted, token = match[1].lower(), match[2], match[3]
        value = token if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
        if "*" in name or parameters.setdefault(name, value) != value:
            raise BadRequestError("mime: invalid media parameter")
        position = match.end()
    if not _END_OF_PARAMETERS.fullmatch(text, position):
        raise BadRequestError("mime: invalid media parameter")
    return kind, parameters


def parse_multipart(payload: bytes, boundary: bytes) -> Iterator[Part]:
    """Yield the parts; raise BadRequestError for anything that ends before the final boundary, or has more parts than a form.

    Lines may end in LF instead of CRLF if the first boundary line does. Stricter than Go in one corner: it takes a body that ends
    within a part's headers for a complete one without that part.
    """
    if not boundary:
        raise BadRequestError("multipart: boundary is empty")
    delimiter = _Delimiter(payload, boundary)
    position = delimiter.first()
    parts = lines = 0
    while position is not None:
        headers, start, read = _read_headers(payload, position, MAX_HEADER_LINES - lines)
        parts, lines = parts + 1, lines + read
        if parts > MAX_PARTS:
            raise BadRequestError("multipart: message too large")
        end, position = delimiter.after(start)
        yield _part(headers, payload[start:end])


class _Delimiter:
    """Finds boundary lines. INVARIANT: `newline` is what the first of them ended in; all others must end the same."""

    __slots__ = ("_dashes", "_newline", "_payload")

    def __init__(self, payload: bytes, boundary: bytes) -> None:
        self._payload = payload
        self._dashes = b"--" + boundary
        self._newline = b"\r\n"

    def first(self) -> int | None:
        """Return where the first part's headers begin, None if there are no parts. What precedes the boundary is ignored."""
        line = 0
        while True:
            rest = self._rest(line) if self._payload.startswith(self._dashes, line) else None
            if rest and not rest[1] and rest[2] == b"\n":
                self._newline = b"\n"
            if rest and self._is_final(rest):
                return None
            if rest and rest[2] == self._newline and not rest[1]:
                return rest.end()
            line = self._payload.find(b"\n" + self._dashes, line) + 1
            if not line:
                raise BadRequestError("multipart: NextPart: EOF")

    def after(self, start: int) -> tuple[int, int | None]:
        """Return where the content that begins at `start` ends, and where the next part's headers begin (None: no more parts)."""
        end, line = self._content_end(start)
        rest = self._rest(line)
        if rest is None or not (self._is_final(rest) or (rest[2] == self._newline and not rest[1])):
            raise BadRequestError("multipart: unexpected line in Next()")
        return end, None if rest[1] else rest.end()

    def _content_end(self, start: int) -> tuple[int, int]:
        """Return the end of the content and the start of the boundary line: after a line end, or at once if there is no content."""
        if self._payload.startswith(self._dashes, start) and self._is_boundary(start):
            return start, start
        mark = self._newline + self._dashes
        end = self._payload.find(mark, start)
        while end >= 0:
            line = end + len(self._newline)
            if self._is_boundary(line):
                return end, line
            end = self._payload.find(mark, end + 1)
        raise BadRequestError("multipart: unexpected EOF")

    def _is_boundary(self, line: int) -> bool:
        """Tell whether the dashes are a boundary and not the beginning of a longer word: `--foobar` is content where `--foo` ends it."""
        return _AFTER_BOUNDARY.match(self._payload, line + len(self._dashes)) is not None

    def _rest(self, line: int) -> re.Match[bytes] | None:
        return _BOUNDARY_REST.match(self._payload, line + len(self._dashes))

    def _is_final(self, rest: re.Match[bytes]) -> bool:
        return bool(rest[1]) and rest[2] in (b"", self._newline)


def _read_headers(payload: bytes, position: int, max_lines: int) -> tuple[dict[bytes, bytes], int, int]:
    """Return a part's headers, the first of each name, where its content begins, and the number of lines read."""
    fields: list[list[bytes]] = []  # each with its folded lines, joined only when all are there
    for count in range(max_lines + 1):
        end = payload.find(b"\n", position)
        if end < 0:
            raise BadRequestError("multipart: unexpected EOF in a part's header")
        line, position = payload[position:end].removesuffix(b"\r"), end + 1
        if not line:
            return _fields(fields), position, count
        if line[:1] in b" \t" and fields:
            fields[-1].append(line.strip(b" \t"))
        else:
            fields.append([line.rstrip(b" \t")])
    raise BadRequestError("multipart: message too large")


def _fields(fields: list[list[bytes]]) -> dict[bytes, bytes]:
    headers: dict[bytes, bytes] = {}
    for lines in fields:
        match = _HEADER.fullmatch(b" ".join(lines))
        if match is None:
            raise BadRequestError("malformed MIME header line")
        headers.setdefault(match[1].lower(), match[2])
    return headers


def _part(headers: dict[bytes, bytes], content: bytes) -> Part:
    name = _form_name(headers.get(b"content-disposition", b""))
    if name and headers.get(b"content-transfer-encoding", b"").lower() == b"quoted-printable":
        content = _from_quoted_printable(content)
    return Part(name, _text(headers.get(b"content-type", b"")), content)


def _form_name(disposition: bytes) -> str:
    try:
        kind, parameters = media_type(_text(disposition))
    except BadRequestError:
        return ""  # as Go's Part.FormName: a disposition that does not parse names nothing
    return parameters.get("name", "") if kind == "form-data" else ""


def _from_quoted_printable(content: bytes) -> bytes:
    """Decode as Go does: a `=` that is neither an escape nor at the end of its line stands for itself (RFC 2045, 6.7, leniently)."""
    decoded: list[bytes] = []
    for line in _LINE.findall(content):
        text = line.rstrip(b" \t\r\n")
        ending = line[len(text) :].lstrip(b" \t")
        if text.endswith(b"="):
            text = text[:-1]
            if text.endswith(b"=") or not (ending.startswith((b"\n", b"\r\n")) or (text and not ending)):
                raise BadRequestError("quotedprintable: invalid bytes after =")
            ending = b""
        if _UNESCAPED.search(text):
            raise BadRequestError("quotedprintable: invalid unescaped byte in body")
        decoded.append(_ESCAPE.sub(lambda match: bytes.fromhex(match[1].decode()), text))
        decoded.append(_LINE_END.findall(ending)[0])
    return b"".join(decoded)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
