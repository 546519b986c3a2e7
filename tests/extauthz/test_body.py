"""The body of a request, as opa-envoy-plugin shows it."""

from decimal import Decimal
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.extauthz.body import NOT_PARSED, TRUNCATED, Body, parse_body
from authz.extauthz.errors import BadRequestError
from authz.rego.values import FALSE, NULL, TRUE, Object, Value

JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def parsed(value: Value) -> Body:
    return Body(value, FALSE)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("42", 42),
        ("null", NULL),
        ("true", TRUE),
        ("1.50", Decimal("1.5")),
        ("12345678901234567890123", 12345678901234567890123),
        ('{"a": 1, "a": 2}', Object({"a": 2})),
        (' [1, "x", {}] \n', (1, "x", Object())),
        ('"\\ud800"', "\ufffd"),
        ('["\\ud83d\\ude00", {"\\uDC00k": "\\ud800x"}]', ("😀", Object({"\ufffdk": "\ufffdx"}))),
        ('"\\\\ud800"', "\\ud800"),
    ],
)
def test_json_is_read_exactly(body: str, value: Value) -> None:
    assert parse_body({"content-type": "application/json"}, body, b"") == parsed(value)


NOT_JSON = ['["foo" : 42}', "{} {}", "NaN", "Infinity", "-Infinity", "\ufeff1", "'a'", "[1,]", "01", "1.", "{", '"\n"']
TOO_MUCH = ["[" * 600 + "]" * 600, "[" * 100_000, "1" * 5000, "1e99999999999999999999"]


@pytest.mark.parametrize("body", [*NOT_JSON, *TOO_MUCH])
def test_what_is_not_strict_json_is_refused(body: str) -> None:
    with pytest.raises(BadRequestError, match=r"^request_parse_error: invalid JSON: "):
        parse_body({"content-type": "application/json"}, body, b"")


@pytest.mark.parametrize("body", NOT_JSON)
def test_what_is_not_strict_json_is_refused_unread_too(body: str) -> None:
    with pytest.raises(BadRequestError):
        parse_body({"content-type": "application/json"}, body, b"", only_check=True)


@given(st.text(st.sampled_from('[]{}:,"a1.-e \\ud8'), max_size=8))
def test_checking_refuses_exactly_what_reading_refuses(body: str) -> None:
    def refused(only_check: bool) -> bool:
        try:
            parse_body({"content-type": "application/json"}, body, b"", only_check=only_check)
        except BadRequestError:
            return True
        return False

    assert refused(only_check=True) == refused(only_check=False)


def test_checking_a_large_body_builds_nothing_of_it() -> None:
    body = "[" + "[]," * 1_000_000 + "1]"
    began = process_time()
    assert parse_body(JSON, body, b"", only_check=True) == NOT_PARSED
    assert process_time() - began < 0.2


def test_bytes_that_are_not_utf8_are_replaced_and_utf16_is_not_guessed() -> None:
    assert parse_body(JSON, "", b'"\xff"') == parsed("\ufffd")
    with pytest.raises(BadRequestError):
        parse_body(JSON, "", "[]".encode("utf-16"))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, NOT_PARSED),
        ({"content-type": ""}, NOT_PARSED),
        ({"content-type": "text/plain"}, NOT_PARSED),
        ({"content-type": "Application/JSON"}, NOT_PARSED),
        ({"content-type": "application/vnd.api+json"}, NOT_PARSED),
        ({"content-type": "application/grpc"}, NOT_PARSED),
        ({"content-type": "application/grpc-web+json", "content-length": "not read"}, NOT_PARSED),
        ({"content-type": "x application/json-patch+json; charset=utf-8"}, parsed((1,))),
        ({"content-type": "application/grpc, application/json"}, parsed((1,))),
        ({"content-type": "multipart/form-data"}, NOT_PARSED),
        ({"x-envoy-auth-partial-body": "true"}, TRUNCATED),
        ({"x-envoy-auth-partial-body": "true", **JSON}, TRUNCATED),
        ({"x-envoy-auth-partial-body": "True", **JSON}, parsed((1,))),
        ({"content-length": "3", **JSON}, parsed((1,))),
        ({"content-length": "2", **JSON}, parsed((1,))),
        ({"content-length": "+3", **JSON}, parsed((1,))),
        ({"content-length": "-1", **JSON}, parsed((1,))),
        ({"content-length": "4", **JSON}, TRUNCATED),
    ],
)
def test_headers_decide_what_is_parsed(headers: dict[str, str], expected: Body) -> None:
    assert parse_body(headers, "[1]", b"") == expected
    assert parse_body(headers, "", b"[1]") == expected


def test_body_comes_before_raw_body() -> None:
    assert parse_body(JSON, "1", b"2") == parsed(1)


def test_empty_payload_is_not_truncated_whatever_its_declared_length() -> None:
    assert parse_body({"content-length": "10", **JSON}, "", b"") == NOT_PARSED


def test_declared_length_counts_bytes_not_characters() -> None:
    assert parse_body({"content-length": "4", **JSON}, '"é"', b"") == parsed("é")


@pytest.mark.parametrize(
    ("length", "cause"),
    [
        ("x", 'parsing "x": invalid syntax'),
        ("", 'parsing "": invalid syntax'),
        ("1_0", 'parsing "1_0": invalid syntax'),
        ("\u0663", 'parsing "\u0663": invalid syntax'),
        ("9223372036854775808", 'parsing "9223372036854775808": value out of range'),
        ("1" * 5000, f'parsing "{"1" * 64}": value out of range'),
    ],
)
def test_content_length_that_is_no_number_is_refused(length: str, cause: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        parse_body({"content-length": length, **JSON}, "1", b"")
    assert str(caught.value) == f"request_parse_error: strconv.ParseInt: {cause}"


def test_form_is_read_like_a_query() -> None:
    assert parse_body(FORM, "a=1&a=2+3&b", b"") == parsed(Object({"a": ("1", "2 3"), "b": ("",)}))


@pytest.mark.parametrize("body", ["a=%zz", "a;b"])
def test_malformed_form_is_refused(body: str) -> None:
    with pytest.raises(BadRequestError):
        parse_body(FORM, body, b"")


def test_multipart_values_are_texts_or_json_by_their_own_content_type() -> None:
    body = (
        '--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'
        '--b\r\ncontent-disposition: form-data; name=a\r\ncontent-type: application/json\r\n\r\n{"k": 1}\r\n'
        "--b\r\nContent-Disposition: form-data\r\n\r\nnameless\r\n--b--"
    )
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert parse_body(headers, body, b"") == parsed(Object({"a": ("1", Object({"k": 1}))}))


def test_bad_json_in_a_part_is_refused() -> None:
    body = "--b\nContent-Disposition: form-data; name=a\nContent-Type: application/json\n\n{\n--b--\n"
    with pytest.raises(BadRequestError):
        parse_body({"content-type": "multipart/form-data; boundary=b"}, body, b"")


@given(
    st.sampled_from(["application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b"]), st.binary(max_size=60)
)
def test_any_body_is_read_or_refused(content_type: str, body: bytes) -> None:
    try:
        value = parse_body({"content-type": content_type}, "", body)
    except BadRequestError:
        return
    assert value.truncated is FALSE
