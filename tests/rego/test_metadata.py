"""rego.metadata.rule and rego.metadata.chain: what OPA puts in their place."""

from __future__ import annotations

from typing import Any

import pytest

from authz import rego
from authz.rego import metadata, names, parser
from authz.rego.errors import Findings

PACKAGE = """# METADATA
# description: about the package
package a.b

# METADATA
# title: T
# authors:
# - Joe <j@x>
"""


def answer(source: str, name: str = "p", **more: str) -> Any:
    """Return the rule's value in package a.b, the same with tables and without; None if it is undefined."""
    modules = {"a.rego": source, **{f"{file}.rego": text for file, text in more.items()}}
    found = [rego.compile(modules, optimize=optimize).query(f"data.a.b.{name} = x") for optimize in (True, False)]
    assert found[0] == found[1]
    return found[0][0]["x"] if found[0] else None


def failure(**modules: str) -> str:
    with pytest.raises(rego.CompileError) as caught:
        rego.compile({f"{file}.rego": text for file, text in modules.items()})
    first = caught.value.diagnostics[0]
    return f"{first.location.file}:{first.location.row}: {first.code}: {first.message}"


RULE = {"scope": "rule", "title": "T", "authors": [{"name": "Joe", "email": "j@x"}]}


def test_a_rule_sees_its_own_annotation() -> None:
    assert answer(PACKAGE + "p := rego.metadata.rule()") == RULE


def test_a_rule_without_annotation_sees_an_empty_object() -> None:
    assert answer("package a.b\np := rego.metadata.rule()") == {}
    assert answer("package a.b\n# METADATA\n# scope: document\n# title: D\np := rego.metadata.rule()") == {}


def test_the_chain_leads_from_the_rule_outwards() -> None:
    source = """# METADATA
# scope: subpackages
# title: inner
package a.b

# METADATA
# scope: document
# title: D
p := 1 if false

# METADATA
# title: first

# METADATA
# title: second
p := rego.metadata.chain() if true
"""
    package = "# METADATA\n# title: P\npackage a.b\n"
    outer = "# METADATA\n# scope: subpackages\n# title: outer\npackage a\n"
    chain = answer(source, other=package, root=outer)
    assert [(".".join(link["path"]), link["annotations"]["scope"], link["annotations"]["title"]) for link in chain] == [
        ("a.b.p", "rule", "second"),
        ("a.b.p", "rule", "first"),
        ("a.b.p", "document", "D"),
        ("a.b", "package", "P"),
        ("a.b", "subpackages", "inner"),
        ("a", "subpackages", "outer"),
    ]


def test_the_chain_has_an_entry_for_a_rule_without_annotations() -> None:
    assert answer("package a.b\np := rego.metadata.chain()") == [{"path": ["a", "b", "p"]}]
    assert answer("package a.b\np.q[1][x] := rego.metadata.chain() if x := 2", "p.q[1][2]") == [{"path": ["a", "b", "p", "q", 1]}]


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ('p := rego.metadata.rule()["title"]', "T"),
        ("p := {x | some x in [rego.metadata.rule().title]}", ["T"]),
        ("p := x if { every y in [1] { y == 1; rego.metadata.rule().title }; x := 1 }", 1),
        ("p := x if { x := input.y with input as {`y`: rego.metadata.rule().title} }", "T"),
        ("p[rego.metadata.rule().title] := 1", {"T": 1}),
        ("p contains rego.metadata.rule().title", ["T"]),
        ('p := $"<{rego.metadata.rule().title}>"', "<T>"),
        ("p := {k: v | some k in [1]; v := rego.metadata.chain()[k].annotations.description}", {"1": "about the package"}),
        ("p := x if { rego.metadata.rule(y); x := y.title }", "T"),
        ("p := x if { rego.metadata.chain([x, _]) }", {"path": ["a", "b", "p"], "annotations": RULE}),
        ("p if rego.metadata.rule()", True),
        ("p if not rego.metadata.rule()", None),
    ],
)
def test_calls_are_replaced_wherever_they_stand(rule: str, value: Any) -> None:
    assert answer(PACKAGE + rule) == value


def test_a_link_of_an_else_chain_has_no_annotation() -> None:
    source = PACKAGE + "p := rego.metadata.rule() if false\nelse := rego.metadata.rule() if false\nelse := [rego.metadata.rule()]"
    assert answer(source) == [{}]


def test_functions_and_rules_of_one_name_have_each_their_own() -> None:
    source = """package a.b
# METADATA
# title: one
f(1) := rego.metadata.rule().title
# METADATA
# title: two
f(2) := rego.metadata.rule().title
p := [f(1), f(2)]
"""
    assert answer(source) == ["one", "two"]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        (
            {"a": "package x\n# METADATA\n# scope: document\n# title: a\np := 1\n# METADATA\n# scope: document\n# title: b\np := 1\n"},
            "a.rego:6: rego_type_error: document annotation redeclared: a.rego:2",
        ),
        (dict.fromkeys("ab", "# METADATA\n# title: a\npackage x\n"), "b.rego:1: rego_type_error: package annotation redeclared: a.rego:1"),
        (
            dict.fromkeys("ab", "# METADATA\n# scope: subpackages\n# title: a\npackage x\n"),
            "b.rego:1: rego_type_error: subpackages annotation redeclared: a.rego:1",
        ),
        ({"a": "package x\np := rego.metadata.foo()"}, "a.rego:2: rego_type_error: undefined function rego.metadata.foo"),
        (
            {"a": "package x\nrego := 1\np := rego.metadata.rule()"},
            "a.rego:3: rego_type_error: undefined function data.x.rego.metadata.rule",
        ),
    ],
)
def test_what_is_annotated_twice_or_does_not_exist_is_refused(modules: dict[str, str], message: str) -> None:
    assert failure(**modules) == message


def test_modules_without_calls_are_left_as_they_are() -> None:
    module = parser.parse_module("a.rego", PACKAGE + "p := 1\nf(x) := y if y := x else := 2")
    scopes = names.global_names((module,), Findings())
    assert metadata.expand_metadata((module,), scopes, metadata.collect((module,)))[0] is module
