"""rego.parse_module: OPA's JSON of a module, its errors, and bounds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from authz.rego.errors import BuiltinError
from tests.rego.builtins.as_json import call, failure


def module(source: str) -> dict[str, Any]:
    tree: dict[str, Any] = call("rego.parse_module", "x.rego", source)
    return tree


def rule(source: str) -> dict[str, Any]:
    """Return the tree of the only rule of a package."""
    (tree,) = module(f"package a\n{source}")["rules"]
    assert isinstance(tree, dict)
    return tree


def var(name: str) -> dict[str, Any]:
    return {"type": "var", "value": name}


def string(text: str) -> dict[str, Any]:
    return {"type": "string", "value": text}


def number(value: float) -> dict[str, Any]:
    return {"type": "number", "value": value}


def ref(*steps: Any) -> dict[str, Any]:
    head, *rest = steps
    return {"type": "ref", "value": [var(head), *(string(step) if isinstance(step, str) else step for step in rest)]}


TRUE = {"type": "boolean", "value": True}


def test_packages_imports_and_comments() -> None:
    tree = module('# c\npackage a["b c"] # d\nimport data.x as y\nimport rego.v1\n')
    assert tree["package"] == {"path": [var("data"), string("a"), string("b c")]}
    assert tree["imports"] == [{"path": ref("data", "x"), "alias": "y"}, {"path": ref("rego", "v1")}]
    assert tree["comments"] == [
        {"Text": "IGM=", "Location": {"file": "x.rego", "row": 1, "col": 1}},
        {"Text": "IGQ=", "Location": {"file": "x.rego", "row": 2, "col": 18}},
    ]
    assert "rules" not in tree


@pytest.mark.parametrize(
    ("source", "head"),
    [
        ("p := 1", {"name": "p", "ref": [var("p")], "value": number(1), "assign": True}),
        ("p = 1", {"name": "p", "ref": [var("p")], "value": number(1)}),
        ("p if x", {"name": "p", "ref": [var("p")], "value": TRUE}),
        ("p contains 1", {"name": "p", "ref": [var("p")], "key": number(1)}),
        ("p[x] := 1 if x", {"name": "p", "ref": [var("p"), var("x")], "key": var("x"), "value": number(1), "assign": True}),
        ("p.q := 1", {"name": "p", "ref": [var("p"), string("q")], "key": string("q"), "value": number(1), "assign": True}),
        ("p.q = 1 if x", {"name": "p", "ref": [var("p"), string("q")], "value": number(1)}),
        ("p.q if x", {"ref": [var("p"), string("q")], "value": TRUE}),
        ("p.q.r := 1", {"ref": [var("p"), string("q"), string("r")], "value": number(1), "assign": True}),
        (
            "f(x, [1]) := 1",
            {
                "name": "f",
                "ref": [var("f")],
                "args": [var("x"), {"type": "array", "value": [number(1)]}],
                "value": number(1),
                "assign": True,
            },
        ),
    ],
)
def test_heads(source: str, head: dict[str, Any]) -> None:
    assert rule(source)["head"] == head


def test_defaults_and_else_chains() -> None:
    assert rule("default p := 1")["default"] is True
    chain = rule("p := 1 if x else = 2 if y else := 3")
    assert chain["else"]["head"] == {"name": "p", "ref": [var("p")], "value": number(2)}
    assert chain["else"]["else"]["head"] == {"name": "p", "ref": [var("p")], "value": number(3), "assign": True}
    assert chain["else"]["else"]["body"] == [{"index": 0, "terms": TRUE}]


@pytest.mark.parametrize(
    ("source", "literal"),
    [
        ("x = 1", {"terms": [ref("eq"), var("x"), number(1)]}),
        ("x := 1", {"terms": [ref("assign"), var("x"), number(1)]}),
        ("not x", {"terms": var("x"), "negated": True}),
        ("1 + 2 == 3", {"terms": [ref("equal"), {"type": "call", "value": [ref("plus"), number(1), number(2)]}, number(3)]}),
        ("a.f(1)", {"terms": [ref("a", "f"), number(1)]}),
        ("some x, y", {"terms": {"symbols": [var("x"), var("y")]}}),
        ("some x in y", {"terms": {"symbols": [{"type": "call", "value": [ref("internal", "member_2"), var("x"), var("y")]}]}}),
        ("every x in y { z }", {"terms": {"key": None, "value": var("x"), "domain": var("y"), "body": [{"index": 0, "terms": var("z")}]}}),
        ("x with input.a as 1", {"terms": var("x"), "with": [{"target": ref("input", "a"), "value": number(1)}]}),
        ("x with f as g", {"terms": var("x"), "with": [{"target": var("f"), "value": var("g")}]}),
    ],
)
def test_literals(source: str, literal: dict[str, Any]) -> None:
    assert rule(f"p if {{ {source} }}")["body"] == [{"index": 0, **literal}]


@pytest.mark.parametrize(
    ("source", "term"),
    [
        ("null", {"type": "null", "value": {}}),
        ("input", ref("input")),
        ("input[_].b", ref("input", var("$0"), "b")),
        ("f(1).a", {"type": "ref", "value": [{"type": "call", "value": [ref("f"), number(1)]}, string("a")]}),
        ("{x, 2, 1, 1}", {"type": "set", "value": [number(1), number(2), var("x")]}),
        ('{"z": 1, "a": 2}', {"type": "object", "value": [[string("a"), number(2)], [string("z"), number(1)]]}),
        ("[x | y]", {"type": "arraycomprehension", "value": {"term": var("x"), "body": [{"index": 0, "terms": var("y")}]}}),
        ("{x | y}", {"type": "setcomprehension", "value": {"term": var("x"), "body": [{"index": 0, "terms": var("y")}]}}),
        (
            "{k: v | y}",
            {"type": "objectcomprehension", "value": {"key": var("k"), "value": var("v"), "body": [{"index": 0, "terms": var("y")}]}},
        ),
        (
            "$`a{x}{1}`",
            {"type": "templatestring", "value": {"multi_line": True, "parts": [string("a"), {"index": 0, "terms": var("x")}, number(1)]}},
        ),
        ('$""', {"type": "templatestring", "value": {"multi_line": False, "parts": None}}),
    ],
)
def test_terms(source: str, term: dict[str, Any]) -> None:
    assert rule(f"p := {source}")["head"]["value"] == term


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("package foo.", "1 error occurred: x.rego:1: rego_parse_error: unexpected eof token: expected identifier\n\tpackage foo."),
        (
            "package a\np { x }\nq { y }",
            "2 errors occurred:\n"
            "x.rego:2: rego_parse_error: `if` keyword is required before rule body\n"
            "x.rego:3: rego_parse_error: `if` keyword is required before rule body",
        ),
    ],
)
def test_errors_are_printed_as_opa_prints_them(source: str, message: str) -> None:
    assert failure("rego.parse_module", "x.rego", source).startswith(message)


def test_size_and_depth_are_bounded() -> None:
    assert "longer than" in failure("rego.parse_module", "x.rego", "package a\n" + "#" * 300_000)
    assert failure("rego.parse_module", "x.rego", "package a\np := " + "[" * 5000)
    assert "nested too deeply" in failure("rego.parse_module", "x.rego", "package a\np := " + "[" * 90 + "]" * 90)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["p", "x", ":=", "=", "if", "{", "}", "[", "]", "1", '"a"', "some", "in", "not", "else", "\n", "|", ",", "."]))
)
def test_any_text_is_a_tree_or_an_error(parts: list[str]) -> None:
    source = "package a\n" + " ".join(parts)
    try:
        found = module(source)["package"]
    except BuiltinError as error:
        found = "rego_parse_error" in error.message
    assert found
