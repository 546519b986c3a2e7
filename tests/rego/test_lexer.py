"""Tokens: kinds, decoded values, places, and text that no token begins with."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.errors import CompileError
from authz.rego.lexer import MAX_SOURCE_BYTES, read, tokenize
from authz.rego.tokens import NEWLINE, NO_GAP, SPACE, Kind, Token
from authz.rego.values import number_text


def values(source: str) -> list[object]:
    return [token.value for token in tokenize("a.rego", source)[:-1]]


def kinds(source: str) -> list[Kind]:
    return [token.kind for token in tokenize("a.rego", source)[:-1]]


def error(source: str) -> CompileError:
    with pytest.raises(CompileError) as caught:
        tokenize("a.rego", source)
    return caught.value


def test_every_token_knows_its_place_and_what_stands_before_it() -> None:
    tokens = tokenize("a.rego", "x[ y\n\tz # c\n]")
    assert [(token.text, token.row, token.col, token.gap) for token in tokens] == [
        ("x", 1, 1, NO_GAP),
        ("[", 1, 2, NO_GAP),
        ("y", 1, 4, SPACE),
        ("z", 2, 2, NEWLINE),
        ("]", 3, 1, NEWLINE),
        ("", 3, 2, NO_GAP),
    ]


def test_a_token_prints_its_place_kind_and_text() -> None:
    assert [str(token) for token in tokenize("a.rego", 'if x := "a"')] == [
        "1:1 if",
        "1:4 identifier x",
        "1:6 assign :=",
        '1:9 string "a"',
        "1:12 eof",
    ]


def test_tokens_compare_by_all_they_hold() -> None:
    assert tokenize("a.rego", "x y") == tokenize("b.rego", "x y")
    assert Token(Kind.IDENT, "x", 1, 1, NO_GAP) != Token(Kind.IDENT, "x", 1, 2, NO_GAP)


def test_operators_take_the_longest_match() -> None:
    assert kinds(":= : == = != <= < >= >") == [
        Kind.ASSIGN, Kind.COLON, Kind.EQUAL, Kind.UNIFY, Kind.NEQ, Kind.LTE, Kind.LT, Kind.GTE, Kind.GT,
    ]  # fmt: skip


def test_columns_count_code_points() -> None:
    assert [token.col for token in tokenize("a.rego", '"äöü😀" x')] == [1, 8, 9]


def test_a_byte_order_mark_is_allowed_at_the_start_only() -> None:
    assert tokenize("a.rego", "\ufeffx")[0].col == 1
    assert error("x\n \ufeff").message == "illegal byte-order mark"
    assert str(error("x\n \ufeff").location) == "a.rego:2:2"


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("0", 0),
        ("12345678901234567890123", 12345678901234567890123),
        ("1.0", Decimal("1.0")),
        ("1e3", Decimal("1e3")),
        ("0.5E-2", Decimal("0.005")),
        ("1e0", Decimal(1)),
        ("100e-2", Decimal(1)),
        ("0e1", Decimal("0e1")),
    ],
)
def test_numbers_keep_their_text_exactly(source: str, value: int | Decimal) -> None:
    (token,) = tokenize("a.rego", source)[:-1]
    assert (token.kind, token.value) == (Kind.NUMBER, value)
    assert isinstance(token.value, int | Decimal)
    assert number_text(token.value) == source


def test_a_number_without_digits_before_its_point_is_written_as_json_has_it() -> None:
    (token,) = tokenize("a.rego", ".5")[:-1]
    assert isinstance(token.value, Decimal)
    assert number_text(token.value) == "0.5"


def test_an_integer_too_long_for_python_is_an_equal_decimal() -> None:
    (value,) = values("7" * 5000)
    assert isinstance(value, Decimal)
    assert value.adjusted() == 4999


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("01", "unexpected number token: expected number without leading zero"),
        ("00.1", "unexpected number token: expected number without leading zero"),
        ("0x10", "illegal number format: 0x10"),
        ("1a", "illegal number format: 1a"),
        ("1.", "expected fraction"),
        ("1.x", "expected fraction"),
        ("1e", "expected exponent"),
        ("1e99999", "number too big"),
        ("1e-99999", "number too big"),
        ("1e9999999999999999999999", "number too big"),
        ("7" * 40000, "number too big"),
    ],
)
def test_numbers_that_opa_refuses_are_refused(source: str, message: str) -> None:
    assert error(f"x := {source}").message == message


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ('""', ""),
        (r'"a\"b\\\/\b\f\n\r\t"', 'a"b\\/\b\f\n\r\t'),
        (r'"\u00e9\ud83d\ude00"', "é😀"),
        (r'"\ud800x"', "\ufffdx"),
        ('"a\tb"', "a\tb"),
        ("``", ""),
        ('`a\\n"b\n`', 'a\\n"b\n'),
    ],
)
def test_strings_are_decoded(source: str, value: str) -> None:
    assert values(source) == [value]


@pytest.mark.parametrize(
    ("source", "message", "place"),
    [
        ('"abc', "non-terminated string", "1:1"),
        ('"abc\n"', "non-terminated string", "1:1"),
        ("`abc\n", "non-terminated string", "1:1"),
        (r'"a\x41"', r"illegal escape sequence: '\\x'", "1:3"),
        (r'"\u12"', r"illegal escape sequence: '\\u'", "1:2"),
        (r'"a\{"', r"illegal escape sequence: '\\{'", "1:3"),
        ('x\n"a\t\\n"', "illegal string literal", "2:1"),
        ('$"a', "non-terminated string", "1:1"),
        ("$`a\nb", "non-terminated string", "1:1"),
        ('$"a{x}b', "non-terminated string", "1:7"),
        (r'$"\q"', r"illegal escape sequence: '\\q'", "1:3"),
        ("a ! b", "illegal token: unexpected character '!'", "1:3"),
        ("$x", "illegal token: unexpected character '$'", "1:1"),
        ("'a'", 'illegal token: unexpected character "\'"', "1:1"),
        ("é", "illegal token: unexpected character 'é'", "1:1"),
        ('"\x00"', "illegal null character", "1:2"),
        ("# \x00", "illegal null character", "1:3"),
        ("x\n# \ud800", "illegal utf-8 character", "2:3"),
    ],
)
def test_text_that_is_no_token_is_refused_where_it_stands(source: str, message: str, place: str) -> None:
    found = error(source)
    assert found.message == message
    assert str(found.location) == f"a.rego:{place}"
    assert found.code == "rego_parse_error"


def test_a_lexical_error_quotes_its_line() -> None:
    assert str(error("x\n  y := 'a'\n")).splitlines() == [
        "1 error occurred:",
        'a.rego:2:8: rego_parse_error: illegal token: unexpected character "\'"',
        "    2 |   y := 'a'",
        "      |        ^",
        "help: strings are written in double quotes or backticks",
    ]


def test_a_template_string_is_parts_around_tokens() -> None:
    tokens = tokenize("a.rego", '$"a{{"k": 1}}\\{b{$`c{x}`}d"')
    assert [token.value for token in tokens if token.kind in (Kind.TEMPLATE_PART, Kind.TEMPLATE_END)] == ["a", "{b", "c", "", "d"]
    assert [token.kind for token in tokens[:6]] == [
        Kind.TEMPLATE_PART, Kind.LBRACE, Kind.STRING, Kind.COLON, Kind.NUMBER, Kind.RBRACE,
    ]  # fmt: skip


def test_a_backslash_before_an_escape_does_not_hide_a_brace() -> None:
    assert values(r'$"\\{x}"') == ["\\", None, None, ""]
    assert values(r"$`\{x\`") == ["{x\\"]


def test_rows_go_on_after_strings_of_several_lines() -> None:
    tokens = tokenize("a.rego", "`a\nb` x $`c\n{y}\n` z")
    assert [(token.text, token.row) for token in tokens if token.kind is Kind.IDENT] == [("x", 2), ("y", 3), ("z", 4)]


def test_comments_are_kept_apart_with_their_places() -> None:
    comments = read("a.rego", "# one\r\nx # two\n#").comments
    assert [(comment.row, comment.col, comment.text) for comment in comments] == [(1, 1, " one"), (2, 3, " two"), (3, 1, "")]


def test_a_source_beyond_the_limit_is_refused() -> None:
    assert error(" " * (MAX_SOURCE_BYTES + 1)).message == f"source is larger than {MAX_SOURCE_BYTES} bytes"
    assert error("#" + "é" * (MAX_SOURCE_BYTES // 2 + 1)).message == f"source is larger than {MAX_SOURCE_BYTES} bytes"
