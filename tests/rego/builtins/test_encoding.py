"""base64, base64url, hex and URL queries: what is accepted, and Go's words for what is not."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego.builtins import BUILTINS
from authz.rego.errors import EVAL_TYPE, BuiltinError
from tests.rego.builtins.as_json import call, failure


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_text_survives_every_encoding(text: str) -> None:
    for family in ("base64", "base64url", "hex", "urlquery"):
        assert call(f"{family}.decode", call(f"{family}.encode", text)) == text
    assert call("base64url.decode", call("base64url.encode_no_pad", text)) == text


def test_base64_skips_line_ends_and_unused_bits() -> None:
    assert call("base64.decode", "aGVs\nbG8=") == "hello"
    assert call("base64.decode", "aGVsbG9=") == "hello"


@pytest.mark.parametrize(
    ("text", "position"), [("aGVsbG8", 4), ("aGVsb G8=", 5), ("a", 0), ("aGVsbG8==", 8), ("aaaa=", 4), ("=", 0), ("ab=c", 2)]
)
def test_base64_names_the_byte_that_is_wrong(text: str, position: int) -> None:
    assert failure("base64.decode", text) == f"illegal base64 data at input byte {position}"
    assert call("base64.is_valid", text) is False


def test_base64url_takes_both_paddings_but_not_the_other_alphabet() -> None:
    assert call("base64url.decode", "aGVsbG8") == call("base64url.decode", "aGVsbG8=") == "hello"
    assert failure("base64url.decode", "aGVs+/") == "illegal base64 data at input byte 4"
    assert failure("base64url.decode", "aGVs!") == "illegal base64url string: aGVs!"


def test_what_is_no_utf8_becomes_replacement_characters_byte_by_byte() -> None:
    assert call("base64.decode", "/w==") == "\ufffd"
    assert call("hex.decode", "e282") == "\ufffd\ufffd"


def test_bytes_that_are_no_utf8_stay_what_they_are_until_they_are_shown() -> None:
    key = BUILTINS["base64.decode"].call("/wDDqYA=")
    assert BUILTINS["hex.encode"].call(key) == "ff00c3a980"
    assert BUILTINS["crypto.sha256"].call(key) == hashlib.sha256(b"\xff\x00\xc3\xa9\x80").hexdigest()
    assert BUILTINS["crypto.hmac.sha256"].call("x", key) == hmac.new(b"\xff\x00\xc3\xa9\x80", b"x", "sha256").hexdigest()
    assert BUILTINS["count"].call(key) == 4
    assert BUILTINS["sprintf"].call("%v", ((key,),)) == r'["\xff\x00é\x80"]'
    assert BUILTINS["json.marshal"].call(key) == r'"\ufffd\u0000é\ufffd"'
    assert BUILTINS["regex.replace"].call(key, ".", "x") == "xxxx"


def test_is_valid_takes_any_value() -> None:
    assert call("base64.is_valid", 1) is False
    assert call("base64.is_valid", "") is True


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("abc", "encoding/hex: odd length hex string"),
        ("61zz", "encoding/hex: invalid byte: U+007A 'z'"),
        ("é", "encoding/hex: invalid byte: U+00C3 'Ã'"),
    ],
)
def test_hex_names_what_is_wrong(text: str, message: str) -> None:
    assert failure("hex.decode", text) == message


def test_a_query_escapes_all_but_the_unreserved_characters() -> None:
    assert call("urlquery.encode", "a b&c=d/é~*-._+") == "a+b%26c%3Dd%2F%C3%A9~%2A-._%2B"


@pytest.mark.parametrize(
    ("text", "part"), [("a%zz", "%zz"), ("%", "%"), ("% 1", "% 1"), ("a+b%2", "%2"), ("%é", "%é"), ("%😀", r"%\xf0\x9f")]
)
def test_a_bad_escape_is_quoted(text: str, part: str) -> None:
    assert failure("urlquery.decode", text) == f'invalid URL escape "{part}"'


def test_a_query_object_has_sorted_keys_and_repeated_values() -> None:
    assert call("urlquery.encode_object", {"b": {"x", "a"}, "a": "1 2", "c": []}) == "a=1+2&b=a&b=x"
    assert call("urlquery.decode_object", "a=1&b=2&a=3&c&=4&&d=e=f") == {"a": ["1", "3"], "b": ["2"], "c": [""], "": ["4"], "d": ["e=f"]}


def test_a_query_object_of_other_values_is_a_type_error() -> None:
    with pytest.raises(BuiltinError, match=r"operand 1 values must be string, array\[string\], or set\[string\]") as caught:
        call("urlquery.encode_object", {"a": ["x", 1]})
    assert caught.value.code == EVAL_TYPE


def test_semicolons_do_not_separate_query_parameters() -> None:
    assert failure("urlquery.decode_object", "a=1;b=2") == "invalid semicolon separator in query"
    assert failure("urlquery.decode_object", "%&;") == "invalid semicolon separator in query"
