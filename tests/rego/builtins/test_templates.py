"""Template strings and Go templates; expected results are OPA's."""

from __future__ import annotations

from decimal import Decimal

import pytest

from authz.rego.builtins.go_template import MAX_NESTING
from tests.rego.builtins.harness import call, failure


def test_parts_of_a_template_string_are_joined() -> None:
    assert call("internal.template_string", ["a ", {"b"}, 1, {(1, "x")}, None, True]) == 'a b1[1, "x"]nulltrue'


def test_an_undefined_part_says_so() -> None:
    assert call("internal.template_string", ["x=", set()]) == "x=<undefined>"


def test_a_part_that_no_template_makes_is_an_internal_error() -> None:
    assert failure("internal.template_string", [[1]]) == "eval_internal_error: illegal argument type: array"


def test_a_part_with_two_values_is_a_conflict() -> None:
    assert failure("internal.template_string", [{1, 2}]).startswith("eval_conflict_error: ")


@pytest.mark.parametrize(
    ("template", "variables", "expected"),
    [
        ("plain", {}, "plain"),
        ("{{.a}}", {"a": "hello"}, "hello"),
        ("{{.a}} {{.b}} {{.c}}", {"a": Decimal("1.50"), "b": 2**70, "c": True}, f"1.50 {2**70} true"),
        ("test {{.foo}} {{.bar}} {{.baz}}", {"baz": 1}, "test <undefined> <undefined> 1"),
        ("{{.a}} {{.z.b}}", {"a": None}, "<undefined> <undefined>"),
        ("{{.a}}", {"a": [1, "x", None, 1.5]}, "[1 x <nil> 1.5]"),
        ("{{.a}}", {"a": {"z": 1, "b": [2]}}, "map[b:[2] z:1]"),
        ("{{.a.b.c}}", {"a": {"b": {"c": 1}}}, "1"),
        ("{{if .a}}y{{else}}n{{end}}", {"a": 0}, "y"),
        ("{{if .a}}y{{else if .b}}b{{else}}n{{end}}", {"a": "", "b": [1]}, "b"),
        ("{{if .z}}y{{else}}n{{end}}", {}, "n"),
        ('{{if eq .a "x" "y"}}y{{else}}n{{end}}', {"a": "y"}, "y"),
        ("{{eq .a .b}} {{eq .a nil}} {{ne .a .b}}", {"a": 1, "b": "1"}, "true false false"),
        ("{{and .a .b}}|{{or .a .b}}|{{not .a}}", {"a": "", "b": "q"}, "|q|true"),
        ("{{len .a}} {{len .b}}", {"a": [1, 2], "b": "héy"}, "2 4"),
        ('{{index .a 1}} {{index .b "k"}}', {"a": [1, 2], "b": {"k": "v"}}, "2 v"),
        ("{{slice .a 1 2}}{{slice .a 2}}", {"a": "abc"}, "bc"),
        ("{{range .a}}<{{.}}>{{else}}none{{end}}", {"a": [1, 2]}, "<1><2>"),
        ("{{range .a}}<{{.}}>{{else}}none{{end}}", {"a": []}, "none"),
        ("{{range $i, $n := .a}}{{if $i}},{{end}}hi {{$n}}{{end}}", {"a": ["x", "y"]}, "hi x,hi y"),
        ("{{range $k, $v := .a}}{{$k}}={{$v}}{{$.b}}{{end}}", {"a": {"z": 1, "b": 2}, "b": ";"}, "b=2;z=1;"),
        ('{{range .a}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', {"a": ["a", "b", "c"]}, "ac"),
        ('{{range .a}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', {"a": ["a", "b", "c"]}, "a"),
        ("{{range $i, $x := .a}}{{range $.a}}{{break}}{{end}}{{$i}}{{end}}", {"a": ["a", "b"]}, "01"),
        ("{{range 3}}{{.}}{{end}}", {}, "012"),
        ("{{with .a}}{{.b}}{{else}}x{{end}}", {"a": {"b": 2}}, "2"),
        ("{{$x := .a}}{{$x}}{{$x = 5}}{{$x}}", {"a": 1}, "15"),
        ("a  {{- .a -}}  b", {"a": 1}, "a1b"),
        ("a {{- /* gone */ -}} b{{/* too */}}", {}, "ab"),
        ('{{printf "%s-%v" .a .b}} {{.a | printf "%q"}}', {"a": "x", "b": 2}, 'x-2 "x"'),
        ('{{print .a 1 "b"}}|{{print 1 2}}|{{println .a}}', {"a": "x"}, "x1b|1 2|x\n"),
        ("{{\"}}\"}} {{1}} {{1.5}} {{true}} {{'a'}} {{`raw`}}", {}, "}} 1 1.5 true 97 raw"),
        ("{{html .a}} {{urlquery .a}}", {"a": "<a b='c'>&"}, "&lt;a b=&#39;c&#39;&gt;&amp; %3Ca+b%3D%27c%27%3E%26"),
        ("{{js .a}}", {"a": "<'>"}, "\\u003C\\'\\u003E"),
        ("{{if lt (len .a) 5}}short{{end}}", {"a": "abc"}, "short"),
        ('{{define "T"}}<{{.}}>{{end}}{{template "T" .a}}{{block "U" .b}}[{{.}}]{{end}}', {"a": 1, "b": 2}, "<1>[2]"),
    ],
)
def test_go_templates(template: str, variables: object, expected: str) -> None:
    assert call("strings.render_template", template, variables) == expected


@pytest.mark.parametrize(
    ("template", "variables", "message"),
    [
        ("{{.a", {}, "unclosed action"),
        ("{{}}", {}, "missing value for command"),
        ("{{foo .a}}", {}, 'function "foo" not defined'),
        ("{{end}}", {}, "unexpected {{end}}"),
        ("{{range .a}}x", {}, "unexpected EOF"),
        ("{{$y}}", {}, 'undefined variable "$y"'),
        ("{{if .a}}{{$x := 1}}{{end}}{{$x}}", {}, 'undefined variable "$x"'),
        ("{{break}}", {}, "outside {{range}}"),
        ("{{.a.b}}", {"a": 1}, "can't evaluate field b"),
        ("{{range .a}}x{{end}}", {"a": "abc"}, "range can't iterate over abc"),
        ("{{if eq .a 1}}y{{end}}", {"a": 1}, "incompatible types for comparison"),
        ("{{eq .a .a}}", {"a": [1]}, "non-comparable type"),
        ('{{index .a "z" "y"}}', {"a": {}}, "index of nil pointer"),
        ("{{index .a 5}}", {"a": [1]}, "can't index"),
        ("{{slice .a 2 1}}", {"a": "abc"}, "out of range"),
        ("{{len}}", {}, "wrong number of args for len"),
        ("{{nil}}", {}, "nil is not a command"),
        ("{{.a .b}}", {}, "can't give argument to non-function"),
        ('{{template "T"}}', {}, "not defined"),
        ("{{.a}}", {"a": {1}}, "not JSON"),
        ("\n\n{{.a}}{{foo}}", {}, "template:3:"),
    ],
)
def test_what_go_refuses_is_refused(template: str, variables: object, message: str) -> None:
    error = failure("strings.render_template", template, variables)
    assert error.startswith("eval_builtin_error: strings.render_template: ")
    assert message in error


@pytest.mark.parametrize(
    "template",
    [
        '{{define "T"}}{{template "T"}}{{end}}{{template "T"}}',
        "{{if .a}}" * (MAX_NESTING + 1) + "{{end}}" * (MAX_NESTING + 1),
        "{{" + "(" * 500 + ".a" + ")" * 500 + "}}",
        "{{range .a}}{{range $.a}}{{range $.a}}{{range $.a}}x{{end}}{{end}}{{end}}{{end}}",
        "{{range .a}}{{range $.a}}{{$.b}}{{end}}{{end}}",
    ],
)
def test_templates_cannot_run_away(template: str) -> None:
    assert "than" in failure("strings.render_template", template, {"a": [*range(100)], "b": "b" * 1000})
