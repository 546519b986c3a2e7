"""String functions; expected results are OPA's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.builtins.strings import MAX_TEXT
from authz.rego.values import to_json
from tests.rego.builtins.harness import call, failure


@pytest.mark.parametrize(
    ("name", "operands", "expected"),
    [
        ("startswith", ("/api/x", "/api"), True),
        ("startswith", ("/ap", "/api"), False),
        ("endswith", ("a.json", ".json"), True),
        ("contains", ("abc", ""), True),
        ("contains", ("abc", "d"), False),
        ("lower", ("AbC",), "abc"),
        ("lower", ("\u0130\u03a3A\u03a3",), "i\u03c3a\u03c3"),
        ("upper", ("abc",), "ABC"),
        ("upper", ("\u00df\u0149\ufb01\u1fb3\u01f0",), "\u00df\u0149\ufb01\u1fbc\u01f0"),
        ("split", ("a,b", ","), ("a", "b")),
        ("split", ("héo", ""), ("h", "é", "o")),
        ("split", ("", ""), ()),
        ("split", ("", ","), ("",)),
        ("concat", (",", ["b", "a"]), "b,a"),
        ("concat", (",", {"b", "a"}), "a,b"),
        ("concat", (",", []), ""),
        ("substring", ("héllo", 1, 3), "éll"),
        ("substring", ("abc", 1, -1), "bc"),
        ("substring", ("abc", 5, 1), ""),
        ("substring", ("abc", Decimal("1.0"), 1), "b"),
        ("indexof", ("héc", "c"), 2),
        ("indexof", ("abc", "z"), -1),
        ("indexof_n", ("aaaa", "aa"), (0, 1, 2)),
        ("indexof_n", ("abc", "z"), ()),
        ("strings.count", ("aaaa", "aa"), 2),
        ("strings.count", ("abc", ""), 4),
        ("strings.reverse", ("héllo",), "olléh"),
        ("replace", ("abcabc", "b", ""), "acac"),
        ("replace", ("abc", "", "-"), "-a-b-c-"),
        ("strings.replace_n", ({"<": "&lt;", ">": "&gt;"}, "<b>"), "&lt;b&gt;"),
        ("strings.replace_n", ({"f": "x", "foo": "xxx"}, "foobar"), "xoobar"),
        ("strings.replace_n", ({"": "-", "a": "X"}, "abc"), "-X-b-c-"),
        ("strings.replace_n", ({}, "abc"), "abc"),
        ("trim", ("abca", "ac"), "b"),
        ("trim", ("aba", ""), "aba"),
        ("trim_left", ("aab", "a"), "b"),
        ("trim_right", ("baa", "a"), "b"),
        ("trim_prefix", ("aab", "a"), "ab"),
        ("trim_suffix", ("baa", "a"), "ba"),
        ("trim_space", ("\x85\xa0 a\x1c",), "a\x1c"),
        ("strings.any_prefix_match", ("abc", ["x", "ab"]), True),
        ("strings.any_prefix_match", (["x", "abc"], {"b", "a"}), True),
        ("strings.any_prefix_match", ([], "a"), False),
        ("strings.any_prefix_match", ("a", []), False),
        ("strings.any_suffix_match", ("abc", ["b", "bc"]), True),
        ("strings.any_suffix_match", ({"abc"}, "b"), False),
    ],
)
def test_string_functions(name: str, operands: tuple[object, ...], expected: object) -> None:
    assert call(name, *operands) == expected


STRINGS = "must be one of {string, set, array} but got number"
CONTAINING = "must be array of strings but got array containing number"
INTEGER = "must be integer number but got floating-point number"


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("startswith", (1, "a"), "startswith: operand 1 must be string but got number"),
        ("startswith", ("a", None), "startswith: operand 2 must be string but got null"),
        ("endswith", ("a", 1), "endswith: operand 2 must be string but got number"),
        ("contains", ([], "a"), "contains: operand 1 must be string but got array"),
        ("lower", (1,), "lower: operand 1 must be string but got number"),
        ("upper", (1,), "upper: operand 1 must be string but got number"),
        ("split", ("a", 1), "split: operand 2 must be string but got number"),
        ("strings.reverse", (1,), "strings.reverse: operand 1 must be string but got number"),
        ("concat", (1, []), "concat: operand 1 must be string but got number"),
        ("concat", ("", "a"), "concat: operand 2 must be one of {set, array} but got string"),
        ("concat", ("", ["a", 1]), "concat: operand 2 must be array of strings but got array containing number"),
        ("concat", ("", {"a", None}), "concat: operand 2 must be set of strings but got set containing null"),
        ("substring", ("abc", 1.5, 1), f"substring: operand 2 {INTEGER}"),
        ("substring", ("abc", 1, 2**64), f"substring: operand 3 {INTEGER}"),
        ("strings.any_prefix_match", (1, "a"), f"strings.any_prefix_match: operand 1 {STRINGS}"),
        ("strings.any_prefix_match", ("a", 1), f"strings.any_prefix_match: operand 2 {STRINGS}"),
        ("strings.any_suffix_match", (["a", 1], "a"), f"strings.any_suffix_match: operand 1 {CONTAINING}"),
        ("strings.any_suffix_match", ("a", [1]), f"strings.any_suffix_match: operand 2 {CONTAINING}"),
        ("strings.replace_n", ({1: "a"}, "a"), "strings.replace_n: operand 1 non-string key found in pattern object"),
        ("strings.replace_n", ({"a": 1}, "a"), "strings.replace_n: operand 1 non-string value found in pattern object"),
    ],
)
def test_wrong_operands_are_type_errors(name: str, operands: tuple[object, ...], message: str) -> None:
    assert failure(name, *operands) == f"eval_type_error: {message}"


def test_positions_that_make_no_sense_are_errors() -> None:
    assert failure("substring", "abc", -1, 1) == "eval_builtin_error: substring: negative offset"
    assert failure("indexof", "abc", "") == "eval_builtin_error: indexof: empty search character"
    assert failure("indexof_n", "abc", "") == "eval_builtin_error: indexof_n: empty search character"


def test_replacing_cannot_multiply_texts_without_end() -> None:
    long = "a" * 8192
    assert "longer than" in failure("replace", long, "a", long)
    assert "longer than" in failure("strings.replace_n", {"a": long}, long)
    assert call("replace", long, "b", long) == long
    assert call("strings.replace_n", {"b": long}, long) == long
    assert len(long) ** 2 > MAX_TEXT


def test_many_patterns_are_replaced_though_their_expression_is_not_kept() -> None:
    patterns = {f"{number:04d};": "x" for number in range(2000)}
    assert call("strings.replace_n", patterns, "1999;0000;-") == "xx-"


def test_the_empty_string_is_found_around_every_byte() -> None:
    assert to_json(call("replace", "aé", "", "-")) == "-a-\ufffd-\ufffd-"
    assert to_json(call("strings.replace_n", {"": "-", "b": "c"}, "béb")) == "-c-\ufffd-\ufffd-c-"
    assert call("replace", "é", "", "") == "é"


@pytest.mark.parametrize(
    ("text", "separator", "limit", "parts"),
    [
        ("a.b.c", ".", 2, ("a", "b")),
        ("a.b.c", ".", 9, ("a", "b", "c")),
        ("a.b.c", ".", -2, ("b", "c")),
        ("a.b.c", ".", -9, ("a", "b", "c")),
        ("a.b.c", ".", 0, ()),
        ("abc", "", 2, ("a", "b")),
        ("abc", "", -1, ("c",)),
        ("", "", 1, ()),
        ("", ".", 2**63 - 1, ("",)),
    ],
)
def test_split_n_takes_parts_from_either_end(text: str, separator: str, limit: int, parts: tuple[str, ...]) -> None:
    assert call("strings.split_n", text, separator, limit) == parts
