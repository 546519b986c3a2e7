from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.outbound import urls
from authz.outbound.allowlist import AllowList
from authz.outbound.errors import SendError
from authz.outbound.settings import SendSettings


@pytest.mark.parametrize(
    ("text", "host", "port", "target"),
    [
        ("https://a.test", "a.test", 443, "/"),
        ("HTTPS://A.Test/X", "a.test", 443, "/X"),
        ("http://a.test:8080/a/../b/./%2f%41?q=%2f+%20%zz&r", "a.test", 8080, "/a/../b/./%2f%41?q=%2f+%20%zz&r"),
        ("http://a.test/ä b?ö#frag", "a.test", 80, "/%C3%A4%20b?%C3%B6"),
        ("http://a.test?x=1", "a.test", 80, "/?x=1"),
        ("http://[::1]:8080/", "::1", 8080, "/"),
        ("http://ä.test/", "xn--4ca.test", 80, "/"),
        ("http://user:pass@a.test/", "a.test", 80, "/"),
        ("http://good.test@evil.test/", "evil.test", 80, "/"),
        ("http://a.test:/", "a.test", 80, "/"),
    ],
)
def test_a_url_asks_what_it_says(text: str, host: str, port: int, target: str) -> None:
    url = urls.parse(text, "GET")
    assert (url.raw_host, url.port, url.raw_path_qs) == (host, port, target)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'Get "": unsupported protocol scheme ""'),
        ("a.test/x", 'Get "a.test/x": unsupported protocol scheme ""'),
        ("ftp://a.test/", 'Get "ftp://a.test/": unsupported protocol scheme "ftp"'),
        ("unix://localhost/?socket=%2Fx", 'Get "unix://localhost/?socket=%2Fx": unsupported protocol scheme "unix"'),
        ("http:///x", 'Get "http:///x": http: no Host in request URL'),
        ("http://a b/", 'parse "http://a b/": invalid character " " in host name'),
        ("http://a.test/%zz", 'parse "http://a.test/%zz": invalid URL escape "%zz"'),
        ("http://a.test/\r\nx", 'parse "http://a.test/\\r\\nx": net/url: invalid control character in URL'),
        ("http://user:secret@a.test:x/", 'parse "http://user:xxxxx@a.test:x/": Invalid URL: port can\'t be converted to integer'),
    ],
)
def test_what_is_no_http_url_is_refused(text: str, message: str) -> None:
    with pytest.raises(SendError) as caught:
        urls.parse(text, "GET")
    assert (caught.value.outcome, caught.value.message) == ("invalid", message)


@given(st.text(max_size=40).map("http://allowed.test".__add__) | st.text(max_size=40).map("http://".__add__) | st.text(max_size=60))
def test_whatever_the_text_only_an_allowed_host_is_asked(text: str) -> None:
    settings = SendSettings(AllowList(["allowed.test:*"]), allow_http=True)
    try:
        url = urls.parse(text, "GET")
        urls.check(url, settings)
    except SendError:
        return
    assert url.raw_host in ("allowed.test", "allowed.test.")
    assert url.raw_path_qs.isascii()
    assert " " not in str(url)


@pytest.mark.parametrize(
    ("url", "allow_http", "message"),
    [
        ("https://b.test/", True, "unallowed host: b.test"),
        ("https://a.test:8443/", True, "unallowed host: a.test:8443"),
        ("http://a.test/", False, "a.test: http is not allowed, only https: see http_send.allow_http"),
    ],
)
def test_what_is_not_allowed_says_why(url: str, allow_http: bool, message: str) -> None:
    with pytest.raises(SendError) as caught:
        urls.check(urls.parse(url, "GET"), SendSettings(AllowList(["a.test"]), allow_http=allow_http))
    assert (caught.value.outcome, caught.value.message) == ("refused", message)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a.test/", None),
        ("http://u:p@a.test/", "Basic dTpw"),
        ("http://u@a.test/", "Basic dTo="),
        ("http://u%40:%C3%A4@a.test/", "Basic dUA6w6Q="),
    ],
)
def test_credentials_in_a_url_are_a_header(text: str, expected: str | None) -> None:
    assert urls.credentials(urls.parse(text, "GET")) == expected


def test_a_log_line_is_given_a_host_and_nothing_else() -> None:
    assert urls.host_of("https://u:p@a.test/secret?x") == "a.test"
    assert urls.host_of("not a url") == ""
