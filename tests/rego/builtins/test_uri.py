"""uri.*: what Go's net/url takes for a URI, its parts, and its words for what is none."""

from __future__ import annotations

import pytest

from authz.rego.builtins.go_url import parse_url
from tests.rego.builtins.as_json import call, failure


def test_a_uri_is_taken_apart() -> None:
    assert call("uri.parse", "HTTPS://u:p@[::1%25en0]:8080/a%2Fb/%C3%A9?q=%zz&r#f%41") == {
        "scheme": "https",
        "hostname": "::1%en0",
        "port": "8080",
        "path": "/a/b/é",
        "raw_path": "/a%2Fb/%C3%A9",
        "raw_query": "q=%zz&r",
        "fragment": "fA",
    }
    assert call("uri.parse", "mailto:a@b") == {"scheme": "mailto"}
    assert call("uri.parse", "//h:") == {"hostname": "h"}
    assert call("uri.parse", "/a b?") == {"path": "/a b", "raw_path": "/a b"}
    assert call("uri.parse", "") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (":a", 'parse ":a": missing protocol scheme'),
        ("1a:b", 'parse "1a:b": first path segment in URL cannot contain colon'),
        ("/%zz", 'parse "/%zz": invalid URL escape "%zz"'),
        ("/#%4", 'parse "/#%4": invalid URL escape "%4"'),
        ("http://a b/#x", 'parse "http://a b/": invalid character " " in host name'),
        ("http://%41/", 'parse "http://%41/": invalid URL escape "%41"'),
        ("http://h:x", 'parse "http://h:x": invalid port ":x" after host'),
        ("http://h:1:2", 'parse "http://h:1:2": invalid port ":1:2" after host'),
        ("http://[::1", "parse \"http://[::1\": missing ']' in host"),
        ("http://[1.2.3.4]", 'parse "http://[1.2.3.4]": invalid IP-literal'),
        ("http://[::1%25]", 'parse "http://[::1%25]": invalid host: ParseAddr("::1%"): zone must be a non-empty string'),
        ("http://u p@h", 'parse "http://u p@h": net/url: invalid userinfo'),
        ("a\tb", 'parse "a\\tb": net/url: invalid control character in URL'),
    ],
)
def test_what_is_no_uri_is_refused_in_go_s_words(text: str, message: str) -> None:
    assert failure("uri.parse", text) == message
    assert call("uri.is_valid", text) is False


def test_validity_takes_any_value_and_the_empty_text_is_none() -> None:
    assert call("uri.is_valid", "a/b") is True
    assert call("uri.is_valid", "postgres://h:1:2/x") is True
    assert call("uri.is_valid", "") is False
    assert call("uri.is_valid", 1) is False


@pytest.mark.parametrize(
    ("reference", "resolved"),
    [
        ("g", "http://a/b/c/g"),
        ("./g/.", "http://a/b/c/g/"),
        ("../../../g", "http://a/g"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("", "http://a/b/c/d;p?q"),
        ("g:h", "g:h"),
    ],
)
def test_references_resolve_as_the_rfc_has_it(reference: str, resolved: str) -> None:
    assert str(parse_url("http://a/b/c/d;p?q").resolve(parse_url(reference))) == resolved
