"""AWS request signing: OPA's signatures for OPA's requests, and its refusals."""

from __future__ import annotations

from typing import Any

import pytest

from tests.rego.builtins.as_json import call, failure

CONFIG = {"aws_access_key": "A", "aws_secret_access_key": "S", "aws_region": "r", "aws_service": "s3"}
REQUEST = {"method": "m", "url": "u"}
TOKEN: dict[str, Any] = {"aws_session_token": "T"}
TIME_NS = 1_451_311_705_000_000_000


def signed(request: dict[str, Any], time_ns: int = TIME_NS, **config: Any) -> dict[str, str]:
    """Return the headers of the signed request; everything else in it has to stay."""
    result = call("providers.aws.sign_req", {"method": "get", **request}, {**CONFIG, **config}, time_ns)
    assert {**result, "headers": None} == {"method": "get", **request, "headers": None}
    headers: dict[str, str] = result["headers"]
    return headers


def signature(request: dict[str, Any], **config: Any) -> str:
    return signed(request, **config)["Authorization"].partition("Signature=")[2]


def test_a_request_gets_the_headers_that_aws_wants() -> None:
    headers = signed({"url": "http://u:p@example.com:80/x", "headers": {"foo": "bar"}}, **TOKEN)
    assert headers["host"] == "example.com:80"
    assert headers["x-amz-date"] == "20151228T140825Z"
    assert headers["x-amz-security-token"] == "T"
    assert headers["x-amz-content-sha256"] == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert headers["foo"] == "bar"
    start = "AWS4-HMAC-SHA256 Credential=A/20151228/r/s3/aws4_request,"
    names = "SignedHeaders=foo;host;x-amz-content-sha256;x-amz-date;x-amz-security-token,Signature="
    assert headers["Authorization"].startswith(start + names)


def test_the_signature_is_the_one_of_awss_own_example() -> None:
    """The request of AWS's documentation, "Examples of the complete Signature Version 4 signing process"."""
    result = call(
        "providers.aws.sign_req",
        {
            "method": "GET",
            "url": "https://iam.amazonaws.com/?Action=ListUsers&Version=2010-05-08",
            "headers": {"content-type": "application/x-www-form-urlencoded; charset=utf-8"},
        },
        {
            "aws_access_key": "AKIDEXAMPLE",
            "aws_secret_access_key": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            "aws_region": "us-east-1",
            "aws_service": "iam",
        },
        1_440_938_160_000_000_000,
    )
    expected = "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    assert result["headers"]["Authorization"].endswith(f"SignedHeaders=content-type;host;x-amz-date,Signature={expected}")


def test_only_some_services_want_the_bodys_hash_as_a_header() -> None:
    assert "x-amz-content-sha256" in signed({"url": "http://h"}, aws_service="glacier")
    assert "x-amz-content-sha256" not in signed({"url": "http://h"}, aws_service="ec2")
    assert signed({"url": "http://h", "raw_body": "x"}, disable_payload_signing=True)["x-amz-content-sha256"] == "UNSIGNED-PAYLOAD"


def test_the_raw_body_wins_over_the_body_which_is_signed_as_json() -> None:
    both = {"url": "http://h", "body": {"a": 1}, "raw_body": "x"}
    assert signature(both) == signature({"url": "http://h", "raw_body": "x"})
    assert signature({"url": "http://h", "body": {"b": 1, "a": ["<"]}}) == signature(
        {"url": "http://h", "raw_body": '{"a":["\\u003c"],"b":1}'}
    )


def test_headers_that_change_on_the_way_are_sent_but_not_signed() -> None:
    headers = signed({"url": "http://h", "headers": {"User-Agent": "x", "authorization": "y"}})
    assert headers["User-Agent"] == "x"
    assert "SignedHeaders=host;x-amz-content-sha256;x-amz-date," in headers["Authorization"]


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("http://h/a b", "http://h/a%20b"),
        ("http://h/é", "http://h/%C3%A9"),
        ("http://h/{x}", "http://h/%7Bx%7D"),
        ("http://h/x#fragment", "http://h/x"),
        ("http://u:p@h/x", "http://h/x"),
    ],
)
def test_the_path_is_signed_escaped(written: str, same: str) -> None:
    assert signature({"url": written}) == signature({"url": same})
    assert signature({"url": written}) != signature({"url": same + "y"})


@pytest.mark.parametrize(
    ("request_", "config", "time_ns", "message"),
    [
        ({"url": "u"}, CONFIG, 0, 'operand 1 missing required request parameters(s): {"method"}'),
        ({"method": "m", "url": "u", "x": 1}, CONFIG, 0, 'operand 1 invalid request parameters(s): {"x"}'),
        ({"method": 1, "url": "u"}, CONFIG, 0, 'operand 1 invalid values for required request parameters(s): {"method"}'),
        ({"method": "m", "url": "u", "headers": []}, CONFIG, 0, "operand 0 must be object but got array"),
        (REQUEST, {**CONFIG, "aws_region": 1}, 0, 'operand 2 invalid values for required AWS config parameters(s): {"aws_region"}'),
        (REQUEST, {**CONFIG, "disable_payload_signing": 1}, 0, "operand 2 invalid value for 'disable_payload_signing' in AWS config"),
        (REQUEST, CONFIG, 1.5, "operand 3 could not convert time_ns value into a unix timestamp"),
        (REQUEST, CONFIG, 2**63, "operand 3 could not convert time_ns value into a unix timestamp"),
        ({"method": "m", "url": "http://h/%zz"}, CONFIG, 0, 'parse "http://h/%zz": invalid URL escape "%zz"'),
        ({"method": "m", "url": "http://h/\x01"}, CONFIG, 0, 'parse "http://h/\\x01": net/url: invalid control character in URL'),
        ({"method": "m", "url": "http://[h/"}, CONFIG, 0, 'parse "http://[h/": Invalid IPv6 URL'),
    ],
)  # fmt: skip
def test_what_cannot_be_signed_is_refused_in_opas_words(request_: Any, config: Any, time_ns: Any, message: str) -> None:
    assert failure("providers.aws.sign_req", request_, config, time_ns) == message


def test_a_config_without_keys_names_them() -> None:
    wanted = '"aws_access_key", "aws_region", "aws_secret_access_key", "aws_service"'
    assert failure("providers.aws.sign_req", REQUEST, {}, 0) == f"operand 2 missing required AWS config parameters(s): {{{wanted}}}"


@pytest.mark.parametrize("time_ns", [-(2**63), -1, 0, 2**63 - 1])
def test_any_time_of_64_bits_will_do(time_ns: int) -> None:
    assert signed({"url": "http://h"}, time_ns)["x-amz-date"].endswith("Z")
