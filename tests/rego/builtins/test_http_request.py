"""The operand of `http.send`. Expected texts are those of OPA 1.20, but where the environment is spoken of."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego.builtins.http_request import PARAMETERS, canonical, read_request
from authz.rego.errors import BuiltinError
from authz.rego.pending import HttpRequest, TlsOptions
from authz.rego.values import Object, from_json

URL = "https://a.test/"


def read(**parameters: Any) -> HttpRequest:
    request = from_json({"method": "get", "url": URL, **parameters})
    assert isinstance(request, Object)
    return read_request(request)


def refusal(**parameters: Any) -> str:
    with pytest.raises(BuiltinError) as caught:
        read(**parameters)
    assert caught.value.message.startswith("http.send: ")
    return caught.value.message.removeprefix("http.send: ")


def test_a_request_is_what_its_parameters_say() -> None:
    request = read(
        method="post", headers={"x-a": "1", "HOST": "b.test"}, body={"a": ["<", 1]}, timeout="1.5s", enable_redirect=True,
        max_retry_attempts=2, raise_error=False, force_json_decode=True, tls_server_name="c.test", tls_use_system_certs=True,
    )  # fmt: skip
    assert (request.method, request.url, request.body) == ("POST", URL, b'{"a":["\\u003c",1]}')
    assert request.headers == (("Host", "b.test"), ("X-A", "1"))
    assert (request.timeout_ns, request.follows_redirects, request.retries, request.raises) == (1_500_000_000, True, 2, False)
    assert (request.forces_json, request.forces_yaml, request.caches) == (True, False, False)
    assert request.tls == TlsOptions(server_name="c.test", use_system_certs=True)


def test_what_is_not_said_is_as_opa_has_it() -> None:
    request = read()
    assert (request.timeout_ns, request.raises, request.follows_redirects, request.retries) == (None, True, False, 0)
    assert (request.headers, request.body, request.caches, request.force_cache_s) == ((), b"", False, 0)


@pytest.mark.parametrize(
    ("timeout", "expected_ns"), [(5, 5), (5.0, 5), ("5", 5), ("+5", 5), ("2s", 2 * 10**9), ("0", 0), (-1, 0), ("-3s", 0)]
)
def test_a_timeout_is_nanoseconds_or_a_duration(timeout: Any, expected_ns: int) -> None:
    assert read(timeout=timeout).timeout_ns == expected_ns


@pytest.mark.parametrize(("value", "expected"), [(True, True), (False, False), (1, True), (0, False)])
def test_some_flags_are_read_as_go_reads_booleans(value: Any, expected: bool) -> None:
    assert read(enable_redirect=value).follows_redirects is expected
    assert read(tls_insecure_skip_verify=value).tls.insecure_skip_verify is expected


def test_quotes_around_a_text_are_stripped() -> None:
    assert (read(raw_body='"x"').body, read(url=f'"{URL}"').url) == (b"x", URL)


def test_a_raw_body_wins_over_a_body() -> None:
    assert read(body=1, raw_body="raw").body == b"raw"


def test_no_header_reaches_into_the_framing_of_the_message() -> None:
    framing = ["content-length", "Transfer-Encoding", "connection", "TE", "Trailer", "upgrade", "Keep-Alive", "expect", "proxy-connection"]
    assert read(headers=dict.fromkeys(framing, "x") | {"x-a": "1"}).headers == (("X-A", "1"),)


@pytest.mark.parametrize(
    ("name", "expected"), [("x-request-id", "X-Request-Id"), ("ETAG", "Etag"), ("a b", "a b"), ("x--y", "X--Y"), ("ä-b", "ä-b")]
)
def test_names_of_headers_are_canonical(name: str, expected: str) -> None:
    assert canonical(name) == expected


@pytest.mark.parametrize(
    ("parameters", "caches", "force_cache_s"),
    [
        ({"cache": True}, True, 0),
        ({"cache": False}, False, 0),
        ({"force_cache": True, "force_cache_duration_seconds": 60}, True, 60),
        ({"force_cache": True, "force_cache_duration_seconds": -1}, True, 0),
        ({"force_cache_duration_seconds": 60}, False, 0),
        ({"cache": True, "caching_mode": "deserialized"}, True, 0),
    ],
)
def test_who_wants_an_answer_from_the_cache_says_so(parameters: dict[str, Any], caches: bool, force_cache_s: int) -> None:
    request = read(**parameters)
    assert (request.caches, request.force_cache_s) == (caches, force_cache_s)


def test_the_whole_request_is_the_key_but_for_ignored_headers() -> None:
    same = [read(headers={"a": value, "b": "1"}, cache_ignored_headers=["a", "c"]).key for value in ("1", "2")]
    assert same[0] == same[1] == read(headers={"b": "1"}, cache_ignored_headers=[]).key
    others = {
        read(headers={"b": "2"}).key,
        read(headers={"b": "1"}, timeout=1).key,
        read(headers={"B": "1"}).key,
        read(body=1).key,
        read(body=1.0).key,
    }
    assert len(others | set(same)) == 6


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"a": 1}, 'operand 1 invalid request parameters(s): {"a"}'),
        ({"method": 1}, '"method" must be a string'),
        ({"method": "G T"}, 'net/http: invalid method "G T"'),
        ({"url": None}, '"url" must be a string'),
        ({"raw_body": {}}, '"raw_body" must be a string'),
        ({"headers": []}, "invalid type for headers key"),
        ({"headers": {"a": 1}}, 'invalid type for headers value "1"'),
        ({"enable_redirect": "true"}, r'strconv.ParseBool: parsing "\"true\"": invalid syntax'),
        ({"enable_redirect": None}, 'strconv.ParseBool: parsing "null": invalid syntax'),
        ({"tls_insecure_skip_verify": 2}, 'strconv.ParseBool: parsing "2": invalid syntax'),
        ({"timeout": 1.5}, "invalid timeout number value 1.5, must be int64"),
        ({"timeout": 2**63}, "invalid timeout number value 9223372036854775808, must be int64"),
        ({"timeout": "5d"}, 'invalid timeout value "5d": time: unknown unit "d" in duration "5d"'),
        ({"timeout": "x"}, 'invalid timeout value "x": time: invalid duration "x"'),
        ({"timeout": True}, "operand 1 'timeout' must be one of {string, number} but got boolean"),
        ({"cache": 1}, 'invalid value for "cache" field'),
        ({"force_cache": "x"}, 'invalid value for "force_cache" field'),
        ({"force_cache": True}, "'force_cache' set but 'force_cache_duration_seconds' parameter is missing"),
        ({"force_cache": True, "force_cache_duration_seconds": "60"}, r'strconv.ParseInt: parsing "\"60\"": invalid syntax'),
        ({"force_cache": True, "force_cache_duration_seconds": 1.5}, 'strconv.ParseInt: parsing "1.5": invalid syntax'),
        ({"force_cache": True, "force_cache_duration_seconds": 2**31}, 'strconv.ParseInt: parsing "2147483648": value out of range'),
        ({"force_json_decode": 1}, 'invalid value for "force_json_decode" field'),
        ({"force_yaml_decode": 1}, 'invalid value for "force_yaml_decode" field'),
        ({"max_retry_attempts": -1}, 'invalid value -1 for field "max_retry_attempts"'),
        ({"max_retry_attempts": "1"}, 'invalid value "1" for field "max_retry_attempts"'),
        ({"cache_ignored_headers": 1, "headers": {}}, "cache_ignored_headers must be an array of strings"),
        ({"cache_ignored_headers": [1], "headers": {}}, "cache_ignored_headers must be an array of strings"),
        ({"tls_ca_cert": 1}, '"tls_ca_cert" must be a string'),
        ({"tls_ca_cert_env_variable": 1}, '"tls_ca_cert_env_variable" must be a string'),
        ({"tls_client_key_env_variable": "KEY"}, '"tls_client_key_env_variable" is not supported: give a file or the text itself'),
    ],
)
def test_what_opa_refuses_is_refused_in_its_words(parameters: dict[str, Any], message: str) -> None:
    assert refusal(**parameters) == message


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*(str(name) for name in PARAMETERS), "other"])


@given(st.dictionaries(NAMES, JSON, max_size=6))
def test_any_object_is_a_request_or_a_builtin_error(parameters: dict[str, Any]) -> None:
    try:
        request = read(**parameters)
    except BuiltinError:
        assert refusal(**parameters)
        return
    assert request.method.upper() == request.method
    assert all(isinstance(name, str) and isinstance(value, str) for name, value in request.headers)
    assert (request.timeout_ns or 0) >= 0
