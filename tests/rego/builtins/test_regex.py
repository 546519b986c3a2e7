"""Regular expressions: Go's syntax and results on RE2, and never a backtracking engine."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from authz.rego.builtins.regex import compiled
from authz.rego.builtins.regex_syntax import MAX_PATTERN, PatternError
from tests.rego.builtins.as_json import call, failure


@pytest.mark.parametrize(
    ("pattern", "text", "matches"),
    [
        ("^$", "", True),
        ("", "x", True),
        ("a$", "a\n", False),
        ("(?m)a$", "a\nb", True),
        (".", "\n", False),
        (r"\d", "٣", False),
        (r"[^\D]", "5", True),
        (r"[\S]", "\v", True),
        (r"\bé", " é", False),
        (r"\pL", "é", True),
        (r"\x{e9}\07?", "é", True),
        (r"\Qa[.b\E+", "a[.bb", True),
        (r"[]a]", "]", True),
        (r"[a\]b-]", "-", True),
        ("(?<n>a)", "a", True),
        ("(?i)\u017f", "S", True),
        ("a{,3}", "a{,3}", True),
        ("a\x00b", "a\x00b", True),
        (r"^a*\Q\E+$", "aaa", True),
        ("^(?:a|b*(?i)*)$", "B", False),
        (r"\p{letter}\p{Decimal-Number}\P{^ascii}", "é1a", True),
        (r"[\x{d7ff}-\x{e000}]", "\ue000", True),
        (r"\x{d800}", "\ufffd", False),
        ("(?P<n>a)(?P<n>b)", "ab", True),
    ],
)
def test_a_pattern_matches_as_in_opa(pattern: str, text: str, matches: bool) -> None:
    assert call("regex.match", pattern, text) is matches
    assert call("re_match", pattern, text) is matches


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", "missing closing ): `(`"),
        (")", "unexpected ): `)`"),
        ("[a", "missing closing ]: `[a`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("*", "missing argument to repetition operator: `*`"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`"),
        (r"(a)\1", r"invalid escape sequence: `\1`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\C", r"invalid escape sequence: `\C`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("\\", "trailing backslash at end of expression: ``"),
        ("(?P<1-x>a)", "invalid named capture: `(?P<1-x>`"),
        ("[b-a]", "invalid character class range: `b-a`"),
        ('[a-"]', 'invalid character class range: `a-"`'),
        ("*a[", "missing argument to repetition operator: `*`"),
        ("a|+?", "missing argument to repetition operator: `+?`"),
        ("a+?{2}", "invalid nested repetition operator: `+?{2}`"),
        ("((a{10}){10}b){11}", "invalid repeat count: `{11}`"),
        ("a{2,1}?", "invalid repeat count: `{2,1}`"),
        (r"\p{Old_Italic}", r"invalid character class range: `\p{Old_Italic}`"),
        (r"\p{Greek", r"invalid character class range: `\p{Greek`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000`"),
        (r"[a-\d]", r"invalid escape sequence: `\d`"),
        ("(?i-s-m)", "invalid or unsupported Perl syntax: `(?i-s-`"),
        ("(?i-)", "invalid or unsupported Perl syntax: `(?i-)`"),
        ("(?<=a>b)", "invalid named capture: `(?<=a>`"),
    ],
)
def test_what_go_does_not_take_is_refused_in_its_words(pattern: str, message: str) -> None:
    assert failure("regex.match", pattern, "x") == f"error parsing regexp: {message}"
    assert call("regex.is_valid", pattern) is False


@given(st.text("ab(){}[]\\*+?|^$.-dwsQEpPx1<>:=!", max_size=12), st.text("ab1\n", max_size=6))
def test_any_pattern_runs_on_re2_or_is_refused(pattern: str, text: str) -> None:
    try:
        regex = compiled(pattern)
    except PatternError:
        assert call("regex.is_valid", pattern) is False
        return
    assert regex.contains(text) is (next(regex.matches(text.encode(), 1), None) is not None)


def test_patterns_are_bounded() -> None:
    assert "has more than" in failure("regex.match", "a" * (MAX_PATTERN + 1), "a")
    assert "nests too deeply" in failure("regex.match", "(" * 1001 + ")" * 1001, "a")


def test_exponential_backtracking_patterns_take_no_time() -> None:
    assert call("regex.match", "^(a+)+$", "a" * 50_000 + "b") is False


@pytest.mark.parametrize(
    ("pattern", "text", "limit", "found"),
    [
        ("a*", "baaac", -1, ["", "aaa", ""]),
        ("a*", "baaac", 2, ["", "aaa"]),
        ("a.", "paranormal", 0, []),
        (r"\B", "aéa", -1, []),
        ("", "é€", -1, ["", "", ""]),
        ("^a.", "abacad", -1, ["ab"]),
    ],
)
def test_find_n_has_go_s_rule_of_empty_matches(pattern: str, text: str, limit: int, found: list[str]) -> None:
    assert call("regex.find_n", pattern, text, limit) == found


def test_a_group_that_took_no_part_is_empty() -> None:
    assert call("regex.find_all_string_submatch_n", "(a)|(b)", "abc", -1) == [["a", "a", ""], ["b", "", "b"]]


def test_a_limit_is_a_whole_number() -> None:
    assert failure("regex.find_n", "a", "a", 1.5) == "operand 3 must be integer number but got floating-point number"


@pytest.mark.parametrize(
    ("pattern", "text", "parts"),
    [("b*", "abbcb", ["a", "c", ""]), ("", "abc", ["a", "b", "c"]), ("", "", []), ("a*", "", [""]), ("^[a-z]+", "foo bar", ["", " bar"])],
)
def test_split_is_go_s(pattern: str, text: str, parts: list[str]) -> None:
    assert call("regex.split", pattern, text) == parts


@pytest.mark.parametrize(
    ("text", "pattern", "replacement", "result"),
    [
        ("abc", "(?P<n>b)", "[$n][${n}][$1][$1x][$$][$]$[${][${n]", "a[b][b][b][][$][$]$[${][${n]c"),
        ("abc", "(b)", "$99 $00 $é", "a  c"),
        ("baaac", "a*", "-", "-b-c-"),
        ("é€", "", "-", "-é-€-"),
        ("abc", "(b)", r"\1", r"a\1c"),
        ("ab", "(x)?b", "<$1>", "a<>"),
        ("ab", "(?P<n>x)|(?P<n>b)", "<$n>", "a<b>"),
        ("ab", "(b)", "$½$\u0663", "a$½"),
    ],
)
def test_replace_expands_groups_as_go_does(text: str, pattern: str, replacement: str, result: str) -> None:
    assert call("regex.replace", text, pattern, replacement) == result


@pytest.mark.parametrize(
    ("template", "text", "matches"),
    [
        ("urn:foo:{.*}", "urn:foo:bar:baz", True),
        ("urn.{a{2}}b", "urn.aab", True),
        ("a.b", "axb", False),
        ("a{b}", "ab\n", False),
        ("u.{a|x}b", "u.ab", True),
    ],
)
def test_a_template_is_literal_outside_its_delimiters(template: str, text: str, matches: bool) -> None:
    assert call("regex.template_match", template, text, "{", "}") is matches


@pytest.mark.parametrize(
    ("operands", "message"),
    [
        (("urn:{.*", "x", "{", "}"), 'unbalanced braces in "urn:{.*"'),
        (("urn:}", "x", "{", "}"), 'unbalanced braces in "urn:}"'),
        (("x", "x", "é", "}"), "start delimiter has to be exactly one character long but is 2 long"),
        (("x", "x", "{", "é"), "end delimiter has to be exactly one character long but is 1 long"),
        (("a{[}b{", "x", "{", "}"), 'unbalanced braces in "a{[}b{"'),
        (("a{b)(c}", "abc", "{", "}"), "error parsing regexp: unexpected ): `^b)(c$`"),
    ],
)
def test_a_bad_template_is_refused(operands: tuple[Any, ...], message: str) -> None:
    assert failure("regex.template_match", *operands) == message


def test_two_patterns_meet_where_one_text_fits_both() -> None:
    assert call("regex.globs_match", "a.a.[0-9]+z", ".b.b.2359825792*594823z") is True
    assert call("regex.globs_match", "a*", "[0-9]*") is False
    assert call("regex.globs_match", "a*b*", "a*b*") is True
    assert call("regex.globs_match", "[]", ".") is True
    assert call("regex.globs_match", "[a-z]+", "[0-9]*") is False
    assert call("regex.globs_match", "b", "c.*") is False
    assert call("regex.globs_match", r"\.", ".") is True


def test_what_the_library_behind_globs_match_misses_is_missed_here_too() -> None:
    assert call("regex.globs_match", "[a-z]+", "a[0-9]*") is False


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("pqrs]", "input:pqrs], pos:5, set-close ']' with no preceding '['"),
        ("a**", "input:a**, pos:3, flag '*' must be preceded by a non-flag"),
        ("[a", "input:[a, pos:2, found [ without matching ]"),
        ("[a-]", "input:[a-], pos:3, range character '-' must be followed by a Unicode character"),
        ("[a--]", "input:[a--], pos:4, range character '-' cannot be followed by a special symbol"),
        ("[z-a]", "input:[z-a], pos:4, range is out of order: 'a' comes before 'z' in Unicode"),
        ("\\", "input:\\, pos:0, input ends with a \\ (escape) character"),
        ("ab\\", "input:ab\\, pos:2, input ends with a \\ (escape) character"),
    ],
)
def test_a_bad_glob_of_globs_match_is_named(pattern: str, message: str) -> None:
    assert failure("regex.globs_match", pattern, "a") == f"{message}: the input provided is invalid"
