"""`uri.parse` and `uri.is_valid`: URIs in parts, as Go's net/url takes them apart."""

from __future__ import annotations

from authz.rego.builtins.go_url import UrlError, parse_url
from authz.rego.builtins.octets import text_of
from authz.rego.builtins.registry import ANY, BOOLEAN, OBJECT, STRING, builtin
from authz.rego.errors import BuiltinError
from authz.rego.values import Object, Value


@builtin("uri.parse", STRING, result=OBJECT)
def uri_parse(text: str) -> Value:
    """Return the parts that the URI has; `raw_path` stands beside every path, to show what was escaped in it."""
    try:
        url = parse_url(text)
    except UrlError as error:
        raise BuiltinError(f"uri.parse: {error}") from None
    host, port = url.host_and_port()
    parts = {
        "scheme": url.scheme, "hostname": host, "port": port, "path": url.path, "raw_path": url.raw_path or url.path,
        "raw_query": url.query, "fragment": url.fragment,
    }  # fmt: skip
    return Object((name, text_of(part.encode("latin-1"))) for name, part in parts.items() if part)


@builtin("uri.is_valid", ANY, result=BOOLEAN)
def uri_is_valid(text: Value) -> bool:
    """Say whether a text can be taken apart; the empty one is no URI."""
    if type(text) is not str or not text:
        return False
    try:
        parse_url(text)
    except UrlError:
        return False
    return True
