"""What a policy is given for an answer. Expected values are those of OPA 1.20."""

from __future__ import annotations

from typing import Any

import pytest

from authz.rego.builtins.http_response import is_json, response_value
from authz.rego.pending import HttpRequest
from authz.rego.values import to_json

REQUEST = HttpRequest("k", "GET", "https://a.test/")
FORCE_JSON = HttpRequest("k", "GET", "https://a.test/", forces_json=True)
FORCE_YAML = HttpRequest("k", "GET", "https://a.test/", forces_yaml=True)


def value(body: bytes, content_type: str = "", request: HttpRequest = REQUEST) -> Any:
    headers = (("content-type", content_type),) if content_type else ()
    return to_json(response_value("200 OK", 200, headers, body, request))


def test_an_answer_has_opas_parts() -> None:
    headers = (("x-a", "1"), ("content-type", "text/plain"), ("x-a", "2"))
    assert to_json(response_value("404 Not Found", 404, headers, b"no", REQUEST)) == {
        "status": "404 Not Found",
        "status_code": 404,
        "body": None,
        "raw_body": "no",
        "headers": {"x-a": ["1", "2"], "content-type": ["text/plain"]},
    }


@pytest.mark.parametrize(
    ("body", "content_type", "request_", "expected"),
    [
        (b'{"a": 1}', "application/json", REQUEST, {"a": 1}),
        (b'{"a": 1}', "text/plain", REQUEST, None),
        (b'{"a": 1}', "", FORCE_JSON, {"a": 1}),
        (b'{"a":', "application/json", REQUEST, None),
        (b"", "application/json", REQUEST, None),
        (b'{"a": 1} and more', "application/json", REQUEST, {"a": 1}),
        (b" [1] [2]", "application/json", REQUEST, [1]),
        (b"12 34", "application/json", REQUEST, 12),
        (b"12x", "application/json", REQUEST, 12),
        (b'"a"x', "application/json", REQUEST, "a"),
        (b"1.x", "application/json", REQUEST, None),
        (b"1e", "application/json", REQUEST, None),
        (b"tru", "application/json", REQUEST, None),
        (b'{"a": 1, "a": 2}', "application/json", REQUEST, {"a": 2}),
        (b"\xef\xbb\xbf1", "application/json", REQUEST, None),
        (b'"\xff"', "application/json", REQUEST, "\ufffd"),
        (b"a: 1\nb: [y]\n", "application/yaml", REQUEST, {"a": 1, "b": [True]}),
        (b"a: 1\n", "text/application/x-yaml; q", REQUEST, {"a": 1}),
        (b"a: 1\n", "", FORCE_YAML, {"a": 1}),
        (b"a: b", "application/json", FORCE_YAML, None),
        (b"a\xff", "", FORCE_YAML, None),
        (b'"\xff"', "", FORCE_YAML, "\ufffd"),
        (b"[" * 5_000 + b"]" * 5_000, "application/json", REQUEST, None),
        (b"[" * 5_000 + b"]" * 5_000, "application/yaml", REQUEST, None),
    ],
)
def test_a_body_is_decoded_by_its_type_or_by_force(body: bytes, content_type: str, request_: HttpRequest, expected: Any) -> None:
    assert value(body, content_type, request_)["body"] == expected


def test_bytes_that_are_no_text_are_replaced_one_by_one() -> None:
    assert value(b"a\xff\xfe\xe2\x82b")["raw_body"] == "a\ufffd\ufffd\ufffd\ufffdb"


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/problem+json", True),
        ("application/json;", True),
        (' application/json ; a=b; c="d; e" ', True),
        ("application/json; x", False),
        ("application/json; a=1; A=2", False),
        ("application/jsonx", False),
        ("application /json", False),
        ("text/json", False),
        ("", False),
    ],
)
def test_what_is_json_says_so(content_type: str, expected: bool) -> None:
    assert is_json(content_type) is expected
