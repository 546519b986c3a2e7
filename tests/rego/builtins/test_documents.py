"""JSON built-ins: exact numbers, Go's errors, bounded depth, pretty printing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego.builtins.documents import value_of_json
from authz.rego.render import json_text
from authz.rego.values import MAX_DEPTH
from tests.rego.builtins.as_json import call, failure

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=3),
)


@given(DOCUMENTS)
def test_a_document_survives_marshal_and_unmarshal(document: object) -> None:
    text = call("json.marshal", document)
    assert call("json.unmarshal", text) == document
    assert call("json.unmarshal", call("json.marshal_with_options", document, {"indent": "  ", "prefix": ""})) == document


def test_numbers_keep_their_text_and_value() -> None:
    assert json_text(value_of_json("[1.0, 1e3, 1.50, 123456789012345678901234567890]")) == "[1.0,1e3,1.50,123456789012345678901234567890]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "EOF"),
        ("{", "unexpected EOF"),
        ("tru", "unexpected EOF"),
        ("1.", "unexpected EOF"),
        ("-", "unexpected EOF"),
        ('"abc', "unexpected EOF"),
        ("abc", "invalid character 'a' looking for beginning of value"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 2}', "invalid character '2' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ('"a\nb"', r"invalid character '\n' in string literal"),
        (r'"a\qb"', "invalid character 'q' in string escape code"),
        ("1 2", "error: invalid character '2' after top-level value"),
        ('1 "a"', "error: invalid character 'a' after top-level value"),
        ("1 true", "error: invalid character '%!s(bool=true)' after top-level value"),
        ("1 [", "error: invalid character '[' after top-level value"),
        ("1]", "invalid character ']' looking for beginning of value"),
        ("0x1", "invalid character 'x' looking for beginning of value"),
        ("1-", "unexpected EOF"),
        ("{true", "invalid character 't' looking for beginning of object key string"),
        ("{-1", "invalid character '-' looking for beginning of object key string"),
        (".5", "invalid character '.' looking for beginning of value"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+x", "invalid character 'x' in exponent of numeric literal"),
        (r'"\u12g4"', r"invalid character 'g' in \u hexadecimal character escape"),
        ("é", "invalid character 'Ã' looking for beginning of value"),
        ("\ufeff1", "invalid character 'ï' looking for beginning of value"),
        ("NaN", "invalid character 'N' looking for beginning of value"),
        ("-Infinity", "invalid character 'I' in numeric literal"),
    ],
)
def test_what_is_not_json_is_refused_in_the_words_of_opa(text: str, message: str) -> None:
    assert failure("json.unmarshal", text) == message
    assert call("json.is_valid", text) is False


def test_a_null_behind_a_document_passes_as_in_opa() -> None:
    assert call("json.unmarshal", " {}null 1") == {}
    assert call("json.is_valid", "{}null") is False


def test_depth_and_digits_are_bounded() -> None:
    assert "nested deeper" in failure("json.unmarshal", "[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2))
    assert failure("json.unmarshal", "[" * 100_000 + "]" * 100_000) == "exceeded max depth"
    assert failure("json.unmarshal", "1" * 100_000)
    assert call("json.is_valid", "[" * 9_999 + "]" * 9_999) is True
    assert call("json.is_valid", "[" * 100_000 + "]" * 100_000) is False
    assert "out of range" in failure("json.unmarshal", "1e99999999999999999999")


def test_lone_surrogates_become_replacement_characters() -> None:
    assert call("json.unmarshal", r'["\ud800", "\ud83d\ude00", {"\udfff": 1}]') == ["\ufffd", "\U0001f600", {"\ufffd": 1}]


def test_is_valid_takes_any_value() -> None:
    assert call("json.is_valid", {"a": 1}) is False
    assert call("yaml.is_valid", 1) is False
    assert call("yaml.is_valid", "{a: 1}") is True


def test_pretty_printing_indents_as_go_does() -> None:
    document = {"b": 1, "a": [], "c": {"d": [1, "x,y:{"]}}
    assert call("json.marshal_with_options", document, {"indent": " ", "prefix": ">"}) == (
        '>{\n> "a": [],\n> "b": 1,\n> "c": {\n>  "d": [\n>   1,\n>   "x,y:{"\n>  ]\n> }\n>}'
    )


def test_options_make_it_pretty_unless_they_say_otherwise() -> None:
    assert call("json.marshal_with_options", [1], {}) == "[1]"
    assert call("json.marshal_with_options", [1], {"pretty": True}) == "[\n\t1\n]"
    assert call("json.marshal_with_options", [1], {"prefix": "", "indent": ""}) == "[\n1\n]"
    assert call("json.marshal_with_options", [1], {"pretty": False, "indent": "x"}) == "[1]"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"foo": 1}, 'operand 2 object contained unknown key "foo"'),
        ({"pretty": 1}, 'operand 2 key "pretty" failed cast to bool'),
        ({"indent": 1}, 'operand 2 key "indent" failed cast to string: operand 0 must be string but got number'),
        ({"indent": "", "prefix": 1}, 'operand 2 key "prefix" failed cast to string: operand 1 must be string but got number'),
        ({1: 1}, "operand 2 failed to stringify key 1 at index 0: operand 0 must be string but got number"),
    ],
)
def test_other_options_are_refused(options: object, message: str) -> None:
    assert failure("json.marshal_with_options", [], options) == message
