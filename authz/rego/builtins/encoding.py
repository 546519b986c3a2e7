"""Built-ins that write text as other text: base64, base64url, hex and URL queries.

Owns what is accepted, to the byte that Go's decoders complain of. Knows nothing of documents (JSON, YAML).
"""

from __future__ import annotations

import binascii
from base64 import b64encode, urlsafe_b64encode
from typing import Final
from urllib.parse import quote_plus

from authz.rego.builtins.octets import bytes_of, text_of
from authz.rego.builtins.registry import ANY, BOOLEAN, OBJECT, STRING, builtin
from authz.rego.errors import EVAL_TYPE, BuiltinError
from authz.rego.render import quote
from authz.rego.values import Object, Set, Value, json_key, sort_values

_STANDARD: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_STANDARD: Final = bytes.maketrans(b"-_+/", b"+/\x00\x00")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")


def decode_base64(data: bytes) -> bytes:
    """Decode padded base64 as Go does: line ends are skipped, unused bits are not looked at."""
    joined = data.translate(None, b"\r\n")
    try:
        if len(joined) % 4:  # Python lets `aaaa=` pass
            raise binascii.Error
        return binascii.a2b_base64(joined, strict_mode=True)
    except binascii.Error:
        raise ValueError(f"illegal base64 data at input byte {_corrupt_at(data)}") from None


def _corrupt_at(data: bytes) -> int:
    """Return the position that Go's `CorruptInputError` has for data that does not decode."""
    seen = 0
    for position, byte in enumerate(data):
        if byte in b"\r\n":
            continue
        if byte == ord("="):
            return _corrupt_padding(data, position, seen % 4)
        if byte not in _STANDARD:
            return position
        seen += 1
    return len(data) - seen % 4


def _corrupt_padding(data: bytes, position: int, in_quantum: int) -> int:
    if in_quantum < 2:
        return position
    rest = [index for index in range(position + 1, len(data)) if data[index] not in b"\r\n"]
    if in_quantum == 2:
        if not rest:
            return len(data)
        if data[rest[0]] != ord("="):
            return rest[0] - 1
        rest = rest[1:]
    return rest[0] if rest else len(data)


def base64url_decode(text: str) -> bytes:
    """Decode base64url, padded or not (RFC 7515, appendix C). Raises ValueError with Go's text."""
    data = bytes_of(text)
    if not data.endswith(b"="):
        missing = -len(data) % 4
        if missing == 3:
            raise ValueError(f"illegal base64url string: {text}")
        data += b"=" * missing
    return decode_base64(data.translate(_TO_STANDARD))


@builtin("base64.encode", STRING, result=STRING)
def base64_encode(text: str) -> Value:
    return b64encode(bytes_of(text)).decode()


@builtin("base64.decode", STRING, result=STRING)
def base64_decode(text: str) -> Value:
    try:
        return text_of(decode_base64(bytes_of(text)))
    except ValueError as error:
        raise BuiltinError(f"base64.decode: {error}") from None


@builtin("base64.is_valid", ANY, result=BOOLEAN)
def base64_is_valid(text: Value) -> bool:
    if type(text) is not str:
        return False
    try:
        decode_base64(bytes_of(text))
    except ValueError:
        return False
    return True


@builtin("base64url.encode", STRING, result=STRING)
def base64url_encode(text: str) -> Value:
    return urlsafe_b64encode(bytes_of(text)).decode()


@builtin("base64url.encode_no_pad", STRING, result=STRING)
def base64url_encode_no_pad(text: str) -> Value:
    return urlsafe_b64encode(bytes_of(text)).decode().rstrip("=")


@builtin("base64url.decode", STRING, result=STRING)
def base64url_decode_text(text: str) -> Value:
    try:
        return text_of(base64url_decode(text))
    except ValueError as error:
        raise BuiltinError(f"base64url.decode: {error}") from None


@builtin("hex.encode", STRING, result=STRING)
def hex_encode(text: str) -> Value:
    return bytes_of(text).hex()


@builtin("hex.decode", STRING, result=STRING)
def hex_decode(text: str) -> Value:
    data = bytes_of(text)
    bad = next((byte for byte in data if byte not in _HEX), None)
    if bad is not None:
        char = chr(bad)
        raise BuiltinError(f"hex.decode: encoding/hex: invalid byte: U+{bad:04X}" + (f" '{char}'" if char.isprintable() else ""))
    if len(data) % 2:
        raise BuiltinError("hex.decode: encoding/hex: odd length hex string")
    return text_of(bytes.fromhex(data.decode()))


@builtin("urlquery.encode", STRING, result=STRING)
def urlquery_encode(text: str) -> Value:
    return quote_plus(bytes_of(text))


@builtin("urlquery.decode", STRING, result=STRING)
def urlquery_decode(text: str) -> Value:
    try:
        return unescape_query(text)
    except ValueError as error:
        raise BuiltinError(f"urlquery.decode: {error}") from None


def unescape_query(text: str) -> str:
    """Undo query escaping. Raises ValueError for a `%` without two hex digits (Go's url.QueryUnescape)."""
    first, *parts = bytes_of(text).split(b"%")
    result = bytearray(first.replace(b"+", b" "))
    for index, part in enumerate(parts):
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            escape = b"%".join([b"", *parts[index:]])[:3]
            raise ValueError(f"invalid URL escape {quote(text_of(escape))}")
        result.append(int(part[:2], 16))
        result += part[2:].replace(b"+", b" ")
    return text_of(bytes(result))


@builtin("urlquery.encode_object", OBJECT, result=STRING)
def urlquery_encode_object(query: Object) -> Value:
    pairs: list[tuple[str, str]] = []
    for name, value in {json_key(key): query[key] for key in query.ordered()}.items():
        pairs.extend((name, text) for text in _query_values(value))
    pairs.sort(key=lambda pair: pair[0])
    return "&".join(f"{quote_plus(bytes_of(name))}={quote_plus(bytes_of(text))}" for name, text in pairs)


def _query_values(value: Value) -> list[str]:
    members = [value] if type(value) is str else list(value) if type(value) is tuple else None
    if isinstance(value, Set):
        members = sort_values(value)
    texts = [member for member in members or () if type(member) is str]
    if members is None or len(texts) != len(members):
        raise BuiltinError("urlquery.encode_object: operand 1 values must be string, array[string], or set[string]", EVAL_TYPE)
    return texts


@builtin("urlquery.decode_object", STRING, result=OBJECT)
def urlquery_decode_object(query: str) -> Value:
    result: dict[str, list[Value]] = {}
    if ";" in query:
        raise BuiltinError("urlquery.decode_object: invalid semicolon separator in query")
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            try:
                result.setdefault(unescape_query(name), []).append(unescape_query(value))
            except ValueError as error:
                raise BuiltinError(f"urlquery.decode_object: {error}") from None
    return Object((name, tuple(values)) for name, values in result.items())
