"""What an author reads: the place, OPA's words, the line with a caret, and the likely fix."""

from __future__ import annotations

import pytest

from authz.rego.errors import Diagnostic
from authz.rego.nodes import Location
from tests.rego.syntax import refused


def test_an_error_shows_place_line_caret_and_fix() -> None:
    assert str(refused("allow if {\n\tinput.x == [1, 2\n}")).splitlines() == [
        "1 error occurred:",
        'a.rego:4:1: rego_parse_error: unexpected } token: expected "," or "]"',
        "    4 | }",
        "      | ^",
        "help: the innermost bracket that needs to be closed is `[` at a.rego:3:13",
    ]


def test_findings_with_one_fix_name_it_once_and_ten_are_enough() -> None:
    lines = str(refused("\n".join(f"p{i} {{ x }}" for i in range(12)))).splitlines()
    assert lines[0] == "10 errors occurred:"
    assert sum(line.startswith("help:") for line in lines) == 1
    assert lines[-1].startswith("help: this is Rego v0 syntax")


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("p if {\n  x y\n}", "3:5", r"unexpected identifier token: expected \n or ; or }"),
        ("p if not every x in y { x }", "2:10", "unexpected every keyword: illegal negation of 'every'"),
        ("p if not some x in y", "2:10", "unexpected some keyword: illegal negation of 'some'"),
        ("p if { every x in xs }", "2:22", "unexpected } token: missing body"),
        ("p if { every x in xs { } }", "2:24", "found empty body"),
        ("p := x.1a", "2:7", "illegal number format: .1a"),
        ("p := x.1", "2:7", "unexpected . token: expected identifier"),
        ("p := x.", "2:8", "unexpected eof token: expected identifier"),
        ("p := 1 else := 2", "2:8", "unexpected else keyword"),
        ("p := not x", "2:6", "unexpected not keyword"),
        ("p := -", "2:7", "unexpected eof token: expected number"),
        ("import foo.bar", "2:8", "unexpected import path, must begin with one of: {data, future, input, rego}, got: foo"),
        ("import data.foo.if", "2:8", "unexpected import path, must not end with a keyword, got: if"),
        ('"p" := 1', "2:1", "string cannot be used for rule name"),
        ("contains := 1", "2:1", "contains keyword cannot be used for rule name"),
        ("p := 1; q := 2", "2:7", "multiple expressions cannot be used for rule head"),
        ('p := "a"[0]', "2:6", "illegal ref (head cannot be string)"),
        ('p := $"{not x}"', "2:9", "unexpected negation ('not') in template-string expression"),
        ('p := $"{x := 1}"', "2:9", "unexpected assignment (':=') in template-string expression"),
        ("p if { x with 1 as 2 }", "2:15", "unexpected number token: expected identifier"),
        ("p if { x with input 2 }", "2:21", "unexpected number token: expected as keyword"),
        ("f(x) contains y", "2:6", "unexpected contains keyword: the contains keyword can only be used with multi-value rule "
         "definitions (e.g., f contains <VALUE> { ... })"),
    ],
)  # fmt: skip
def test_errors_say_in_opas_words_what_is_wrong_and_where(source: str, place: str, message: str) -> None:
    error = refused(source)
    assert error.message == message
    assert str(error.location) == f"a.rego:{place}"


@pytest.mark.parametrize(
    ("source", "rego_version", "help"),
    [
        ("p { x }", 1, "--v0-compatible"),
        ("p if x", 0, "`if` needs `import future.keywords.if` or `import rego.v1`"),
        ("p contains x { x }", 0, "`contains` needs `import future.keywords.contains`"),
        ("p { some x in y }", 0, "`in` needs `import future.keywords.in`"),
        ("p := x == y == (z", 1, "`(` at a.rego:2:16"),
        ("p if {\n x := {1, [2, f(3}\n}", 1, "`(` at a.rego:3:16"),
        ("p if {", 1, "`{` at a.rego:2:6"),
        ("p if { x }}", 1, "no bracket is open here"),
        ("p if { x && y }", 1, "separate them by `;`"),
        ("p if { x || y }", 1, "alternatives are rules of the same name"),
        ("p if { x === y }", 1, "equality is `==`"),
        ("p if { x = y = z }", 1, "compare with `==`"),
        ("p if (x = y)", 1, "compare with `==` inside parentheses"),
        ("p == 1", 1, "a rule gets its value by `:=`"),
        ("p if { x, y }", 1, "separated by `;` or a new line"),
        ("p := [x + 1 | x := 1]", 1, "goes in parentheses"),
        ("p", 1, "`p := 1`, `p if input.x`"),
        ("p := x.0", 1, "written in brackets"),
        ("p := 'x'", 1, "double quotes"),
        ("p if !x", 1, "`not`"),
        ("import data.in", 1, "use an alias"),
    ],
)
def test_a_help_line_names_the_likely_fix(source: str, rego_version: int, help: str) -> None:
    assert help in (refused(source, rego_version).help or "")


def test_a_long_line_is_quoted_around_the_place() -> None:
    source = "p := [" + "1, " * 5000 + "!, " + "1, " * 5000 + "1]"
    quoted, carets = str(refused(source)).splitlines()[2:4]
    assert len(quoted) < 200
    assert quoted[carets.index("^")] == "!"


def test_a_quoted_line_cannot_control_the_terminal() -> None:
    shown = str(refused('p := "\x1b[2J" x y'))
    assert "\x1b" not in shown


def test_tabs_stay_under_tabs() -> None:
    shown = str(Diagnostic("code", "message", Location("a", 1, 4, 2), source_line="\t x yz"))
    assert shown.splitlines()[1:] == ["    1 | \t x yz", "      | \t  ^^"]
